package main

import (
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	deep := func(n int, in string) string { return strings.Repeat("[", n) + in + strings.Repeat("]", n) }
	for _, s := range []string{
		`{}`, " \t\r\n{\"a\":[1,-1,-0,true,false,null,\"x\"]} \n", `9007199254740991`, `-9007199254740991`,
		`"\ud83d\ude00\u0000\/"`, `{"a":1,"b":{"a":2}}`, deep(32, ""), deep(32, "1"), `"` + "\x7f\u2028" + `"`, `[]`, `"\uFFFD"`,
	} {
		if _, err := parseJSON([]byte(s)); err != nil {
			t.Errorf("%.40q: %v", s, err)
		}
	}
	for _, s := range []string{
		"", "\xef\xbb\xbf{}", "\"\xff\"", "{} x", "{}\x00", "{}\u00a0", "\f{}", "\"\x1f\"", `"\ud800"`, `"\udc00"`, `"\ud800\u0041"`,
		`"\udc00\ud800"`, `"\ud800x"`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":1,"A":2}`, `{"s":1,"\u017f":2}`,
		`{"k":1,"K":2}`, `1.0`, `1e3`, `1E3`, `NaN`, `Infinity`, `-Infinity`, `9007199254740992`, `-9007199254740992`,
		`99999999999999999999999`, `01`, `-`, `+1`, deep(33, ""), deep(33, "1"), `[1,]`, `{"a":1,}`, `{,}`, `{a:1}`, `'a'`, `[1 2]`,
		`"\x"`, `"\u12"`, `"\u00zz"`, `"a`, `[`, `{"a"`, `{"a":`, `tru`, `truex`, `"\`, `"` + "\xed\xa0\x80" + `"`,
	} {
		if v, err := parseJSON([]byte(s)); err == nil {
			t.Errorf("%.40q passes: %v", s, v)
		}
	}
	if v, _ := parseJSON([]byte(`"\ud83d\ude00"`)); v != "😀" {
		t.Errorf("%q", v)
	}
}

func TestCanonical(t *testing.T) {
	for _, s := range []string{`{"a":"\b\f\n\r\t\"\\\u0000\u001f/<>&é` + "\x7f\u2028" + `","b":[0,-5]}`, `{}`} {
		if _, err := parseCanonical([]byte(s)); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{`{"b":1,"a":1}`, `{"a":1} `, `{"a":-0}`, `{"a":"\/"}`, `{"a":"\u00e9"}`, `{"a":"\u001F"}`, `{"a":"\u000a"}`, `[]`} {
		if _, err := parseCanonical([]byte(s)); err == nil {
			t.Errorf("%q passes", s)
		}
	}
}

func TestStrings(t *testing.T) {
	for s, want := range map[string]bool{"1.4.0": true, "0.0.0-rc.1": true, "1.0.0-a-b.0x": true, "1.0.0--": true, "1.0.0-01a": true,
		"1.0": false, "v1.0.0": false, "1.0.0+b": false, "01.0.0": false, "1.0.0-01": false, "1.0.0-": false, "1.0.0-a..b": false, "1.0.0\n": false,
		"1234567890123456.0.0": true, "12345678901234567.0.0": false, "1.0.0-12345678901234567": false, "1.0.0-12345678901234567a": true,
		"1.0.0-" + strings.Repeat("a", 58): true, "1.0.0-" + strings.Repeat("a", 59): false} {
		if isVersion(s) != want {
			t.Errorf("version %q", s)
		}
	}
	for s, want := range map[string]bool{"a": true, "a-b": true, "0": true, "": false, "-a": false, "a-": false, "A": false, "a.b": false,
		strings.Repeat("a", 63): true, strings.Repeat("a", 64): false, "a\n": false} {
		if isLabel(s) != want {
			t.Errorf("label %q", s)
		}
	}
	for s, want := range map[string]bool{"a/b": true, "a..b": true, ".wh": true, "é ü": true, "": false, "/a": false, "a/": false, "a//b": false,
		"./a": false, "a/..": false, "a/.wh.x": false, "a\\b": false, "a:b": false, "a\x7f": false, "a\x01": false, strings.Repeat("a", 1024): true, strings.Repeat("a", 1025): false} {
		if (checkPath(s) == nil) != want {
			t.Errorf("path %q", s)
		}
	}
}
