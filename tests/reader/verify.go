package main

import (
	"bytes"
	"os"
	"strconv"
	"sync"
)

// Where the first three members stand (§2, "Alignment").
const (
	slotContent   = 512
	layoutHeader  = 66048
	layoutContent = 66560
	indexHeader   = 67072
	indexContent  = 67584
	layout        = `{"imageLayoutVersion":"1.0.0"}`
)

// verifyFile verifies a file with its sidecar in the order of §11.
func verifyFile(path string, pol policy) error {
	f, err := os.Open(path)
	if err != nil {
		return badf("%v", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return badf("%v", err)
	}
	if !info.Mode().IsRegular() {
		return badf("not a regular file")
	}
	src := &source{r: f, size: info.Size()}
	if err := src.expect(0, header("airbundle.sig.json", slotSize, '0'), "airbundle.sig.json"); err != nil {
		return err
	}
	sidecar, err := readSidecar(path)
	if err != nil {
		return err
	}
	slot, err := src.read(slotContent, slotSize, "airbundle.sig.json")
	if err != nil {
		return err
	}
	st, err := trusted(slot, sidecar, pol)
	if err != nil {
		return err
	}
	return verifyContent(src, st)
}

// trusted is steps 2 and 3 of §11; the statement is nil where there is none.
func trusted(slot, sidecar []byte, pol policy) (*statement, error) {
	e, err := merge(slot, sidecar)
	if err != nil {
		return nil, err
	}
	if err := pol.check(e); err != nil || e == nil {
		return nil, err
	}
	return parseStatement(e.payload)
}

// verifyContent is steps 4 to 8 of §11.
func verifyContent(src *source, st *statement) error {
	root, p, err := readIndex(src, st)
	if err != nil {
		return err
	}
	es, err := entries(root.manifests)
	if err != nil {
		return err
	}
	w := &walker{src: src, p: p, blobs: map[string]*blob{}}
	for i, e := range es {
		depth := 1 // index.json is at 0
		if err := w.visit(e.descriptor, depth, i == 0); err != nil {
			return err
		}
	}
	models, err := w.checkAll(es, st)
	if err != nil {
		return err
	}
	if err := w.rest(); err != nil {
		return err
	}
	for _, m := range models {
		if err := w.framing(m); err != nil {
			return err
		}
	}
	return w.hashAll()
}

// readIndex is step 4 of §11: it returns index.json and where it ends.
func readIndex(src *source, st *statement) (*node, int64, error) {
	if err := src.expect(layoutHeader, header("oci-layout", int64(len(layout)), '0'), "oci-layout"); err != nil {
		return nil, 0, err
	}
	want := make([]byte, block)
	copy(want, layout)
	if err := src.expect(layoutContent, want, "oci-layout: content"); err != nil {
		return nil, 0, err
	}
	var size int64
	if st != nil {
		size = st.indexSize
	} else {
		h, err := src.read(indexHeader, block, "index.json")
		if err != nil {
			return nil, 0, err
		}
		if size, err = octal(h[124:135]); err != nil {
			return nil, 0, err
		}
	}
	if err := src.expect(indexHeader, header("index.json", size, '0'), "index.json"); err != nil {
		return nil, 0, err
	}
	data, err := src.read(indexContent, size, "index.json")
	if err != nil {
		return nil, 0, err
	}
	if err := src.pad(indexContent+size, "index.json"); err != nil {
		return nil, 0, err
	}
	if st != nil && digestOf(data) != "sha256:"+st.indexSHA256 {
		return nil, 0, badf("index.json is not the one that was signed")
	}
	n, err := parseNode(data, descriptor{mediaType: ociIndex})
	if err != nil {
		return nil, 0, badf("index.json: %v", err)
	}
	if !n.hasMediaType {
		return nil, 0, badf("index.json: no mediaType")
	}
	return n, padded(indexContent + size), nil
}

// octal reads the size of index.json from its header (§11.4).
func octal(b []byte) (int64, error) {
	if len(bytes.Trim(b, "01234567")) != 0 {
		return 0, badf("index.json: its size is not 11 octal digits")
	}
	n, err := strconv.ParseInt(string(b), 8, 64)
	if err != nil || n < 1 || n > maxIndex {
		return 0, badf("index.json: its size is not 1 to 16 MiB")
	}
	return n, nil
}

// checkAll is step 6 of §11: config against statement, lock against manifests.
func (w *walker) checkAll(es []*entry, st *statement) ([]*model, error) {
	desc, err := w.checkOwn(es[0], st)
	if err != nil {
		return nil, err
	}
	l, err := parseLock(w.blobs[desc.digest].data)
	if err != nil {
		return nil, badf("lock: %v", err)
	}
	w.blobs[desc.digest].data = nil
	if err := l.checkImages(es); err != nil {
		return nil, err
	}
	models, packs, files := byGroup(es, groupModel), byGroup(es, groupPack), byGroup(es, groupFiles)
	if err := sameNames(l.models, models, "models"); err != nil {
		return nil, err
	}
	if err := sameNames(l.files, files, "files"); err != nil {
		return nil, err
	}
	var out []*model
	for _, e := range es {
		switch e.group {
		case groupFiles:
			err = w.checkFiles(l.files[e.label], e)
		case groupModel:
			var m *model
			m, err = w.checkModel(l.models[e.label], e, packs[e.label])
			out = append(out, m)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// hashAll is step 8 of §11: the digest of every blob that was not compared yet,
// two at a time, in pieces. The first failure in the order of the file counts.
func (w *walker) hashAll() error {
	errs := make([]error, len(w.order))
	work, stop := make(chan int), make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	for i := 0; i < 2; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for at := range work {
				if errs[at] = w.hash(w.order[at], stop); errs[at] != nil {
					once.Do(func() { close(stop) })
				}
			}
		}()
	}
	for i, b := range w.order {
		if !b.checked {
			work <- i
		}
	}
	close(work)
	wg.Wait()
	for _, err := range errs {
		if err != nil && err != errStopped {
			return err
		}
	}
	return nil
}

// hash compares the digest of one blob.
func (w *walker) hash(b *blob, stop <-chan struct{}) error {
	got, err := w.src.sha256(b.start, b.size, stop)
	if err == errStopped {
		return err
	}
	if err != nil {
		return badf("%s: %v", b.digest, err)
	}
	if got != b.digest {
		return badf("%s: the content has the digest %s", b.digest, got)
	}
	return nil
}
