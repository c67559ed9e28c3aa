package main

import "fmt"

// failure is a refusal: of trust (exit status 4) or of integrity (3). See the
// introduction of the page.
type failure struct {
	trust bool
	msg   string
}

func (f *failure) Error() string { return f.msg }

// trustf makes a trust failure.
func trustf(format string, a ...any) error {
	return &failure{trust: true, msg: fmt.Sprintf(format, a...)}
}

// badf makes an integrity failure.
func badf(format string, a ...any) error {
	return &failure{msg: fmt.Sprintf(format, a...)}
}
