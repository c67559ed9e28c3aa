package main

import (
	"strings"
	"testing"
)

// TestWorkedExamples checks every number that §1, §2 and §4 spell out.
func TestWorkedExamples(t *testing.T) {
	name := "blobs/sha256/" + strings.Repeat("a", 64)
	for _, c := range []struct {
		size, p, content, l int64
		begin               string
		dots                int
	}{
		{5, 68096, 69632, 12, "12 comment=\n", 0},
		{5, 69120, 69632, 0, "", 0},
		{5, 69632, 73728, 2561, "2561 comment=.", 2547},
		{9663676416, 69120, 73728, 3073, "19 size=9663676416\n3054 comment=.", 3054 - 10 - 4},
	} {
		body := paxBody(name, c.size, c.p)
		if int64(len(body)) != c.l || !strings.HasPrefix(string(body), c.begin) ||
			strings.Count(string(body), ".") != c.dots {
			t.Errorf("size %d at %d: body of %d: %.40q", c.size, c.p, len(body), body)
		}
		if got := c.p + int64(len(alignedFrame(name, c.size, c.p))); got != c.content {
			t.Errorf("size %d at %d: content at %d, not %d", c.size, c.p, got, c.content)
		}
	}
	if len(layout) != 30 || len(payloadType) != 28 {
		t.Error("a constant's length")
	}
	if slotContent+slotSize != layoutHeader || layoutHeader+2*block != indexHeader {
		t.Error("the places of §2 do not fit")
	}
	if got := header("x", 1<<33, '0')[124:136]; string(got) != "00000000000\x00" {
		t.Errorf("size field of 8 GiB: %q", got)
	}
	if got := header("x", 1<<33-1, '0')[124:136]; string(got) != "77777777777\x00" {
		t.Errorf("size field below 8 GiB: %q", got)
	}
	if paxBody(name, 1<<33-1, 69120) != nil || paxBody(name, 1<<33, 69120) == nil {
		t.Error("the bound of 8 GiB")
	}
}

// TestHeader compares the header with the one of the tests' writer.
func TestHeader(t *testing.T) {
	for _, n := range []string{"a", strings.Repeat("n", 100)} {
		if string(header(n, 12345, 'x')) != tarHeader(n, 12345, "x") {
			t.Errorf("header of %q", n)
		}
	}
}

func TestRecord(t *testing.T) {
	for n, want := range map[int]string{89: "98 ", 90: "99 ", 91: "101 ", 988: "998 ", 989: "999 ", 990: "1001 "} {
		r := record("path", strings.Repeat("x", n))
		if !strings.HasPrefix(r, want) {
			t.Errorf("%d: %.8q", n, r)
		}
	}
}

func TestPlan(t *testing.T) {
	var files []lockFile
	for i := 0; i < 200; i++ {
		files = append(files, lockFile{path: "f" + strings.Repeat("x", i), size: largeFile})
	}
	files = append(files, lockFile{path: "small", size: largeFile - 1})
	pl, err := plan(files)
	if err != nil || len(pl) != 97 || !pl[0].small {
		t.Fatal(err, len(pl))
	}
	at := 0
	for k, l := range pl[1:] {
		for range l.files {
			if 96*at/200 != k {
				t.Errorf("file %d in layer %d", at, k)
			}
			at++
		}
	}
	if pl, _ = plan(files[:96]); len(pl) != 96 {
		t.Error(len(pl))
	}
	if _, err := plan([]lockFile{{path: "a", size: maxInt}, {path: "b", size: maxInt}}); err == nil {
		t.Error("a layer beyond 2^53 passes")
	}
}
