package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
)

const piece = 1 << 20

// source is the file that is verified.
type source struct {
	r    io.ReaderAt
	size int64
}

// read returns n bytes at off; n is small or was checked against a bound.
func (s *source) read(off, n int64, what string) ([]byte, error) {
	if off < 0 || n < 0 || off > s.size || n > s.size-off {
		return nil, badf("%s: the file ends before it", what)
	}
	b := make([]byte, n)
	if got, err := s.r.ReadAt(b, off); int64(got) != n {
		return nil, badf("%s: %v", what, err)
	}
	return b, nil
}

// expect compares framing with what it must be (§2).
func (s *source) expect(off int64, want []byte, what string) error {
	got, err := s.read(off, int64(len(want)), what)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		i := 0
		for got[i] == want[i] {
			i++
		}
		return badf("%s: framing differs at byte %d of the file", what, off+int64(i))
	}
	return nil
}

// pad checks the NULs after content that ends at end (§2).
func (s *source) pad(end int64, what string) error {
	return s.expect(end, make([]byte, padded(end)-end), what+": padding")
}

// sha256 hashes n bytes at off in pieces; stop ends it early when closed.
func (s *source) sha256(off, n int64, stop <-chan struct{}) (string, error) {
	if n > s.size-off {
		return "", errors.New("the file ends before it")
	}
	h := sha256.New()
	buf := make([]byte, min(piece, max(n, 1)))
	for n > 0 {
		select {
		case <-stop:
			return "", errStopped
		default:
		}
		b := buf[:min(int64(len(buf)), n)]
		if got, err := s.r.ReadAt(b, off); got != len(b) {
			return "", err
		}
		h.Write(b)
		off += int64(len(b))
		n -= int64(len(b))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

var errStopped = errors.New("stopped")

// digestOf is the digest of bytes in memory.
func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
