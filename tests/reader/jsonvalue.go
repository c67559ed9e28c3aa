package main

import (
	"bytes"
	"fmt"
	"sort"
	"strconv"
)

// canonical appends v as canonical JSON (end of §3).
func canonical(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case string:
		return canonicalString(dst, v)
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = canonical(dst, e)
		}
		return append(dst, ']')
	case object:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys) // by bytes of UTF-8, which is by code point
		dst = append(dst, '{')
		for i, k := range keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = canonicalString(dst, k)
			dst = append(dst, ':')
			dst = canonical(dst, v[k])
		}
		return append(dst, '}')
	}
	panic("canonical: unknown type")
}

// canonicalString appends one string as canonical JSON (§3).
func canonicalString(dst []byte, s string) []byte {
	short := map[byte]byte{'"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't'}
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		c := s[i]
		if e, ok := short[c]; ok {
			dst = append(dst, '\\', e)
		} else if c < 0x20 {
			dst = append(dst, fmt.Sprintf("\\u%04x", c)...)
		} else {
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// parseCanonical reads an object that must be canonical JSON, byte for byte.
func parseCanonical(b []byte) (object, error) {
	o, err := parseObject(b)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(canonical(nil, o), b) {
		return nil, fmt.Errorf("JSON: not canonical")
	}
	return o, nil
}

// exactly checks that o has these members and no others.
func exactly(o object, names ...string) error {
	for _, n := range names {
		if _, ok := o[n]; !ok {
			return fmt.Errorf("no member %q", n)
		}
	}
	if len(o) != len(names) {
		return fmt.Errorf("members other than %q", names)
	}
	return nil
}

// strMember returns a member that must be a string.
func strMember(o object, name string) (string, error) {
	s, ok := o[name].(string)
	if !ok {
		return "", fmt.Errorf("%q is not a string", name)
	}
	return s, nil
}

// intMember returns a member that must be an integer from lo to hi.
func intMember(o object, name string, lo, hi int64) (int64, error) {
	n, ok := o[name].(int64)
	if !ok || n < lo || n > hi {
		return 0, fmt.Errorf("%q is not an integer from %d to %d", name, lo, hi)
	}
	return n, nil
}

// arrMember returns a member that must be an array.
func arrMember(o object, name string) ([]any, error) {
	a, ok := o[name].([]any)
	if !ok {
		return nil, fmt.Errorf("%q is not an array", name)
	}
	return a, nil
}

// objMember returns a member that must be an object.
func objMember(o object, name string) (object, error) {
	m, ok := o[name].(object)
	if !ok {
		return nil, fmt.Errorf("%q is not an object", name)
	}
	return m, nil
}

// stringsOf returns an object's members, which must all be strings.
func stringsOf(o object) (map[string]string, error) {
	out := make(map[string]string, len(o))
	for k, v := range o {
		s, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("%q is not a string", k)
		}
		out[k] = s
	}
	return out, nil
}

// isHex64 tells whether s is 64 lower-case hex digits.
func isHex64(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}

// digestMember returns a member that must be a digest (introduction).
func digestMember(o object, name string) (string, error) {
	s, err := strMember(o, name)
	if err != nil {
		return "", err
	}
	if !isDigest(s) {
		return "", fmt.Errorf("%q is not a digest: %q", name, s)
	}
	return s, nil
}

// isDigest tells whether s is "sha256:" and 64 lower-case hex digits.
func isDigest(s string) bool {
	return len(s) == 71 && s[:7] == "sha256:" && isHex64(s[7:])
}
