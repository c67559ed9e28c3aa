package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestBig verifies a sparse file with a blob of 9 GiB; set READER_BIG=1.
func TestBig(t *testing.T) {
	if os.Getenv("READER_BIG") == "" {
		t.Skip("READER_BIG is not set")
	}
	const size = 9 << 30
	h, zero := sha256.New(), make([]byte, 1<<20)
	for i := 0; i < size>>20; i++ {
		h.Write(zero)
	}
	digest := "sha256:" + hex.EncodeToString(h.Sum(nil))
	b := newBundle()
	b.plain(func(o m) { o["layers"] = arr{m{"mediaType": "l", "size": size, "digest": digest}} })
	data := b.bytes() // ends with a wrong member for the big blob
	p := int64(bytes.LastIndex(data, []byte("blobs/sha256/"+digest[7:])))
	if at := int64(bytes.LastIndex(data, []byte("././@PaxHeader"))); at > p-4096 {
		p = at
	}
	frame := alignedFrame("blobs/sha256/"+digest[7:], size, p)
	name := filepath.Join(t.TempDir(), "big")
	put(t, name, append(data[:p:p], frame...))
	end := p + int64(len(frame)) + size
	if err := os.Truncate(name, end+1024); err != nil {
		t.Fatal(err)
	}
	if err := verifyFile(name, policy{allowUnsigned: true}); err != nil {
		t.Error(err)
	}
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	if ms.Sys > 256<<20 {
		t.Errorf("%d bytes of memory", ms.Sys)
	}
	f, _ := os.OpenFile(name, os.O_WRONLY, 0)
	f.WriteAt([]byte{1}, end-1)
	f.Close()
	kind, reason := report(name, verifyFile(name, policy{allowUnsigned: true}))
	if reason != 3 {
		t.Error(kind)
	}
	if err := os.Truncate(name, end-5); err != nil {
		t.Fatal(err)
	}
	t.Log(verifyFile(name, policy{allowUnsigned: true}))
}
