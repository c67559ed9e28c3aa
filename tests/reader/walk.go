package main

const (
	maxNode     = 4 << 20  // §5: an index or manifest
	maxLock     = 16 << 20 // §5: the lock
	maxMetadata = 64 << 20 // §5: all metadata blobs together
	maxNesting  = 4        // §5: indexes below index.json
)

// blob is what is known of a digest that was named.
type blob struct {
	digest    string
	size      int64
	mediaType string // the first one it was named with
	placed    bool
	checked   bool // its digest was compared
	start     int64
	data      []byte // the bundle's config and layers of JSON, where kept
	node      *node
}

// walker goes over the file and the graph at once: the place of every blob
// follows from the blobs before it (§5, §11.5).
type walker struct {
	src      *source
	p        int64 // where the next member's framing begins (§2)
	blobs    map[string]*blob
	order    []*blob
	layers   []descriptor // of the second round, as the first one met them
	metadata int64
}

// note records that d names a blob, and refuses contradictions (§5).
func (w *walker) note(d descriptor) (*blob, error) {
	b := w.blobs[d.digest]
	if b == nil {
		b = &blob{digest: d.digest, size: d.size, mediaType: d.mediaType}
		w.blobs[d.digest] = b
		return b, nil
	}
	if b.size != d.size {
		return nil, badf("%s: named with the sizes %d and %d", d.digest, b.size, d.size)
	}
	if b.mediaType != d.mediaType {
		for _, mt := range []string{b.mediaType, d.mediaType} {
			if isIndex(mt) || isManifest(mt) {
				return nil, badf("%s: named with the media types %q and %q", d.digest, b.mediaType, d.mediaType)
			}
		}
	}
	return b, nil
}

// place gives a blob the next place in the file and checks its framing; the
// content is not looked at (§2).
func (w *walker) place(b *blob) error {
	name := "blobs/sha256/" + b.digest[len("sha256:"):]
	frame := alignedFrame(name, b.size, w.p)
	if err := w.src.expect(w.p, frame, name); err != nil {
		return err
	}
	b.start = w.p + int64(len(frame))
	if b.size > w.src.size-b.start {
		return badf("%s: the file ends within it", name)
	}
	if err := w.src.pad(b.start+b.size, name); err != nil {
		return err
	}
	b.placed = true
	w.p = padded(b.start + b.size)
	w.order = append(w.order, b)
	if w.p+endSize > maxInt {
		return badf("%s: the file does not end below 2^53", name)
	}
	return nil
}

// meta places a metadata blob and checks its digest; with keep, or for an index
// or manifest, its bytes are kept in memory (§5, §11.5).
func (w *walker) meta(d descriptor, keep bool) (*blob, error) {
	b, err := w.note(d)
	if err != nil {
		return nil, err
	}
	if !b.placed {
		if w.metadata += b.size; b.size > maxMetadata || w.metadata > maxMetadata {
			return nil, badf("the metadata blobs are more than 64 MiB")
		}
		if err := w.place(b); err != nil {
			return nil, err
		}
		got, err := w.src.sha256(b.start, b.size, nil)
		if err != nil {
			return nil, badf("%s: %v", b.digest, err)
		}
		if got != b.digest {
			return nil, badf("%s: the content has the digest %s", b.digest, got)
		}
		b.checked = true
	}
	if keep && b.data == nil {
		if b.data, err = w.content(b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// content reads a metadata blob, and hashes again what it read.
func (w *walker) content(b *blob) ([]byte, error) {
	data, err := w.src.read(b.start, b.size, b.digest)
	if err == nil && digestOf(data) != b.digest {
		err = badf("%s: the file changed while it was read", b.digest)
	}
	return data, err
}

// visit goes over an index or manifest and what it names: the first round of
// the walk (§5). depth counts the indexes below index.json, d's own included.
func (w *walker) visit(d descriptor, depth int, own bool) error {
	b, err := w.note(d)
	if err != nil {
		return err
	}
	if b.placed {
		return nil
	}
	if d.size < 1 || d.size > maxNode {
		return badf("%s: an index or manifest of %d bytes", d.digest, d.size)
	}
	if isIndex(d.mediaType) && depth > maxNesting {
		return badf("%s: indexes are nested more than %d deep", d.digest, maxNesting)
	}
	if _, err := w.meta(d, false); err != nil {
		return err
	}
	data, err := w.content(b)
	if err != nil {
		return err
	}
	if b.node, err = parseNode(data, d); err != nil {
		return badf("%s: %v", d.digest, err)
	}
	for _, m := range b.node.manifests {
		if err := w.visit(m, depth+1, false); err != nil {
			return err
		}
	}
	if isManifest(d.mediaType) {
		return w.leaves(b.node, own)
	}
	return nil
}

// leaves goes over config and layers of a manifest. The layers of the bundle's
// own manifest are metadata; others wait for the second round (§5).
func (w *walker) leaves(n *node, own bool) error {
	if _, err := w.meta(n.config, own); err != nil {
		return err
	}
	for _, l := range n.layers {
		if own {
			if _, err := w.meta(l, l.annotations[titleKey] == lockTitle); err != nil {
				return err
			}
			continue
		}
		if _, err := w.note(l); err != nil {
			return err
		}
		w.layers = append(w.layers, l)
	}
	return nil
}

// rest is the second round: the framing of all other blobs, and the end of the
// file (§5, §11.7).
func (w *walker) rest() error {
	for _, l := range w.layers {
		b := w.blobs[l.digest]
		if b.placed {
			continue
		}
		if err := w.place(b); err != nil {
			return err
		}
	}
	if err := w.src.expect(w.p, make([]byte, endSize), "the end"); err != nil {
		return err
	}
	if w.src.size != w.p+endSize {
		return badf("%d bytes after the end", w.src.size-w.p-endSize)
	}
	return nil
}
