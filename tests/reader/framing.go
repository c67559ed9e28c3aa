package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

const (
	block     = 512
	align     = 4096
	bigSize   = 8 << 30 // §2: from here on the size stands in a PAX record
	endSize   = 2 * block
	paxName   = "././@PaxHeader"
	nameField = 100
)

// padded rounds n up to a multiple of a block.
func padded(n int64) int64 { return (n + block - 1) / block * block }

// header makes the 512 bytes of a header (§2).
func header(name string, size int64, typeflag byte) []byte {
	h := make([]byte, block)
	copy(h[0:nameField], name)
	copy(h[100:], "0000644\x00")
	copy(h[108:], "0000000\x00")
	copy(h[116:], "0000000\x00")
	if size >= bigSize {
		size = 0
	}
	copy(h[124:], fmt.Sprintf("%011o\x00", size))
	copy(h[136:], "00000000000\x00")
	copy(h[148:], "        ")
	h[156] = typeflag
	copy(h[257:], "ustar\x00")
	copy(h[263:], "00")
	copy(h[329:], "0000000\x000000000\x00")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// needsPath tells whether a name needs a path record (§8).
func needsPath(name string) bool {
	return len(name) > nameField || !isASCII(name)
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// headerName is what the name field holds (§8, §2).
func headerName(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c >= 0x80 {
			b[i] = '_'
		}
	}
	return string(b[:min(len(b), nameField)])
}

// record makes a PAX record; of two lengths that fit, the smaller one (§2).
func record(key, value string) string {
	rest := " " + key + "=" + value + "\n"
	for digits := 1; ; digits++ {
		n := strconv.Itoa(digits + len(rest))
		if len(n) == digits {
			return n + rest
		}
	}
}

// paxBody makes the body of the PAX header that stands at p, or nothing where
// the member needs none (§2).
func paxBody(name string, size, p int64) []byte {
	var head string
	if size >= bigSize {
		head += record("size", strconv.FormatInt(size, 10))
	}
	if needsPath(name) {
		head += record("path", name)
	}
	if head == "" && (p+block)%align == 0 {
		return nil
	}
	f := int64(len(head))
	b := padded(f + 12)
	for (p+block+b+block)%align != 0 {
		b += block
	}
	l := max(f+12, b-(block-1))
	r := l - f
	digits := strconv.FormatInt(r, 10)
	dots := int(r) - 10 - len(digits)
	return []byte(head + digits + " comment=" + strings.Repeat(".", dots) + "\n")
}

// alignedFrame makes all framing from p up to the content of an aligned member:
// its PAX header, if it needs one, and its own header (§2).
func alignedFrame(name string, size, p int64) []byte {
	var out bytes.Buffer
	if body := paxBody(name, size, p); body != nil {
		out.Write(header(paxName, int64(len(body)), 'x'))
		out.Write(body)
		out.Write(make([]byte, padded(int64(len(body)))-int64(len(body))))
	}
	out.Write(header(headerName(name), size, '0'))
	return out.Bytes()
}
