package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxInt   = 1<<53 - 1 // §3, §5: the greatest integer
	maxDepth = 32        // §3: the levels of arrays and objects
)

// object is a JSON object; §3 makes its keys unique.
type object = map[string]any

// parser reads one JSON text by the rules of §3. Values become nil, bool,
// int64, string, []any and object.
type parser struct {
	b []byte
	i int
}

// parseJSON reads a whole JSON text (§3).
func parseJSON(b []byte) (any, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("JSON: not UTF-8")
	}
	p := &parser{b: b}
	p.space()
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.i != len(b) {
		return nil, p.fail("bytes after the value")
	}
	return v, nil
}

// parseObject reads a JSON text that must be an object.
func parseObject(b []byte) (object, error) {
	v, err := parseJSON(b)
	if err != nil {
		return nil, err
	}
	o, ok := v.(object)
	if !ok {
		return nil, errors.New("JSON: not an object")
	}
	return o, nil
}

func (p *parser) fail(format string, a ...any) error {
	return fmt.Errorf("JSON: at byte %d: %s", p.i, fmt.Sprintf(format, a...))
}

// space skips white space: space, tab, LF and CR only (§3).
func (p *parser) space() {
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

// peek returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	if p.i < len(p.b) {
		return p.b[p.i]
	}
	return 0
}

// value reads a value that stands inside depth arrays and objects.
func (p *parser) value(depth int) (any, error) {
	c := p.peek()
	switch {
	case c == '{' || c == '[':
		if depth >= maxDepth {
			return nil, p.fail("more than %d levels", maxDepth)
		}
		p.i++
		if c == '{' {
			return p.object(depth + 1)
		}
		return p.array(depth + 1)
	case c == '"':
		return p.str()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	switch rest := p.b[p.i:]; {
	case bytes.HasPrefix(rest, []byte("true")):
		p.i += 4
		return true, nil
	case bytes.HasPrefix(rest, []byte("false")):
		p.i += 5
		return false, nil
	case bytes.HasPrefix(rest, []byte("null")):
		p.i += 4
		return nil, nil
	}
	return nil, p.fail("no value")
}

// array reads what follows "[".
func (p *parser) array(depth int) (any, error) {
	out := []any{}
	p.space()
	if p.peek() == ']' {
		p.i++
		return out, nil
	}
	for {
		p.space()
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		p.space()
		switch p.peek() {
		case ',':
			p.i++
		case ']':
			p.i++
			return out, nil
		default:
			return nil, p.fail("no comma or ]")
		}
	}
}

// object reads what follows "{"; keys must differ even when folded (§3).
func (p *parser) object(depth int) (any, error) {
	out := object{}
	folded := map[string]struct{}{}
	p.space()
	if p.peek() == '}' {
		p.i++
		return out, nil
	}
	for {
		p.space()
		if p.peek() != '"' {
			return nil, p.fail("no key")
		}
		k, err := p.str()
		if err != nil {
			return nil, err
		}
		f := fold(k)
		if _, dup := folded[f]; dup {
			return nil, p.fail("key %q stands twice (after folding)", k)
		}
		folded[f] = struct{}{}
		p.space()
		if p.peek() != ':' {
			return nil, p.fail("no colon")
		}
		p.i++
		p.space()
		if out[k], err = p.value(depth); err != nil {
			return nil, err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.i++
		case '}':
			p.i++
			return out, nil
		default:
			return nil, p.fail("no comma or }")
		}
	}
}

// fold is the folding of §3.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == 0x17F:
			return 's'
		case r == 0x212A:
			return 'k'
		}
		return r
	}, s)
}

// number reads an integer within ±(2^53-1); "-0" is 0 (§3).
func (p *parser) number() (any, error) {
	neg := p.peek() == '-'
	if neg {
		p.i++
	}
	start := p.i
	var n int64
	for p.i < len(p.b) && p.b[p.i] >= '0' && p.b[p.i] <= '9' {
		n = n*10 + int64(p.b[p.i]-'0')
		if n > maxInt {
			return nil, p.fail("an integer beyond 2^53-1")
		}
		p.i++
	}
	if p.i == start {
		return nil, p.fail("no digit")
	}
	if p.b[start] == '0' && p.i > start+1 {
		return nil, p.fail("a leading zero")
	}
	switch p.peek() {
	case '.', 'e', 'E':
		return nil, p.fail("a fraction or an exponent")
	}
	if neg {
		n = -n
	}
	return n, nil
}

// str reads a string with its quotes. The text is known to be UTF-8.
func (p *parser) str() (string, error) {
	p.i++
	var sb strings.Builder
	for p.i < len(p.b) {
		c := p.b[p.i]
		switch {
		case c == '"':
			p.i++
			return sb.String(), nil
		case c < 0x20:
			return "", p.fail("a control character in a string")
		case c == '\\':
			if err := p.escape(&sb); err != nil {
				return "", err
			}
		default:
			sb.WriteByte(c)
			p.i++
		}
	}
	return "", p.fail("a string without end")
}

// escape reads one escape, or both halves of a surrogate pair (§3).
func (p *parser) escape(sb *strings.Builder) error {
	p.i++
	c := p.peek()
	if at := strings.IndexByte(`"\/bfnrt`, c); at >= 0 && c != 0 {
		sb.WriteByte("\"\\/\b\f\n\r\t"[at])
		p.i++
		return nil
	}
	if c != 'u' {
		return p.fail("an unknown escape")
	}
	r, ok := p.hex4()
	if !ok {
		return p.fail("a bad \\u escape")
	}
	if utf16.IsSurrogate(r) {
		if p.peek() != '\\' || p.i+1 >= len(p.b) || p.b[p.i+1] != 'u' {
			return p.fail("half of a surrogate pair alone")
		}
		p.i++
		low, ok := p.hex4()
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return p.fail("half of a surrogate pair alone")
		}
	}
	sb.WriteRune(r)
	return nil
}

// hex4 reads the "u" and four hex digits of an escape.
func (p *parser) hex4() (rune, bool) {
	if p.i+5 > len(p.b) {
		return 0, false
	}
	var r rune
	for _, c := range p.b[p.i+1 : p.i+5] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	p.i += 5
	return r, true
}
