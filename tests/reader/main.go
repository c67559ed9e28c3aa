// Command reader verifies airbundle files of format 1. It was written from the
// page format.md alone; every comment "§n" cites a section of that page.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const usage = "usage: reader verify (--key PUB.pem | --allow-unsigned) FILE..."

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// options is what the command line says.
type options struct {
	keyFile       string
	allowUnsigned bool
	files         []string
}

// run is main without the process: it returns the exit status (0, 2, 3 or 4).
func run(args []string, stdout, stderr io.Writer) int {
	opt, err := parseArgs(args)
	if err != nil {
		fmt.Fprintln(stderr, err)
		fmt.Fprintln(stderr, usage)
		return 2
	}
	pol := policy{allowUnsigned: opt.allowUnsigned}
	if opt.keyFile != "" {
		k, err := loadKey(opt.keyFile)
		if err != nil {
			fmt.Fprintf(stderr, "key %s: %v\n", opt.keyFile, err)
			return 2
		}
		pol.keys = map[string]*publicKey{k.id: k}
	}
	status := 0
	for _, f := range opt.files {
		line, st := report(f, verifyFile(f, pol))
		fmt.Fprintln(stdout, line)
		if status == 0 {
			status = st
		}
	}
	return status
}

// report makes the line and the exit status for one file.
func report(file string, err error) (string, int) {
	if err == nil {
		return file + "\tok", 0
	}
	kind, status := "integrity", 3
	var f *failure
	if errors.As(err, &f) && f.trust {
		kind, status = "trust", 4
	}
	return file + "\t" + kind + "\t" + oneLine(err.Error()), status
}

// oneLine takes control characters out of a reason.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}

// parseArgs reads the command line.
func parseArgs(args []string) (options, error) {
	var o options
	if len(args) == 0 || args[0] != "verify" {
		return o, errors.New("the only command is verify")
	}
	rest := args[1:]
flags:
	for len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
		a := rest[0]
		rest = rest[1:]
		switch {
		case a == "--allow-unsigned":
			o.allowUnsigned = true
		case a == "--key" && len(rest) > 0 && o.keyFile == "":
			o.keyFile, rest = rest[0], rest[1:]
		case strings.HasPrefix(a, "--key=") && o.keyFile == "":
			o.keyFile = strings.TrimPrefix(a, "--key=")
		case a == "--":
			break flags
		default:
			return o, fmt.Errorf("bad option %q", a)
		}
	}
	o.files = rest
	if (o.keyFile == "") == !o.allowUnsigned {
		return o, errors.New("give exactly one of --key and --allow-unsigned")
	}
	if len(o.files) == 0 {
		return o, errors.New("no FILE")
	}
	return o, nil
}
