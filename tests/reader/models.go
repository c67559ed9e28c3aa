package main

const (
	largeFile   = 16 << 20 // §8: from here on a file is large
	maxLarge    = 96       // §8: layers of large files
	imageLayer  = "application/vnd.oci.image.layer.v1.tar"
	imageConfig = "application/vnd.oci.image.config.v1+json"
	packSmall   = "application/vnd.cncf.model.weight.config.v1.tar"
	packLarge   = "application/vnd.cncf.model.weight.v1.tar"
	packConfig  = "application/vnd.cncf.model.config.v1+json"
	filesLayer  = "application/octet-stream"
	emptyConfig = "application/vnd.oci.empty.v1+json"
)

// layerPlan is a layer of a model as it follows from the lock (§8).
type layerPlan struct {
	files []lockFile
	small bool
	size  int64
}

// plan groups a model's files, which are sorted, into layers (§8).
func plan(files []lockFile) ([]layerPlan, error) {
	var small, large []lockFile
	for _, f := range files {
		if f.size >= largeFile {
			large = append(large, f)
		} else {
			small = append(small, f)
		}
	}
	var out []layerPlan
	if len(small) > 0 {
		out = append(out, layerPlan{files: small, small: true})
	}
	first, n := len(out), len(large)
	for i, f := range large {
		at := i
		if n > maxLarge {
			at = maxLarge * i / n
		}
		if first+at == len(out) {
			out = append(out, layerPlan{})
		}
		out[first+at].files = append(out[first+at].files, f)
	}
	for i := range out {
		var err error
		if out[i].size, err = out[i].each(nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// each calls f with the framing of each file of the layer, where it stands, and
// where the content ends; it returns the size of the layer (§8, §2).
func (l *layerPlan) each(f func(name string, frame []byte, at, end int64) error) (int64, error) {
	p := int64(0)
	for _, file := range l.files {
		name := "models/" + file.path
		frame := alignedFrame(name, file.size, p)
		end := p + int64(len(frame)) + file.size
		if end > maxInt {
			return 0, badf("a layer of more than 2^53 bytes")
		}
		if f != nil {
			if err := f(name, frame, p, end); err != nil {
				return 0, err
			}
		}
		p = padded(end)
	}
	return p + endSize, nil
}

// model is a model with the layers that all its manifests name.
type model struct {
	plan   []layerPlan
	layers []descriptor
}

// checkModel checks the manifests of one model against its files (§8).
func (w *walker) checkModel(files []lockFile, e, pack *entry) (*model, error) {
	pl, err := plan(files)
	if err != nil {
		return nil, err
	}
	m := &model{plan: pl}
	manifests := []descriptor{e.descriptor}
	if isIndex(e.mediaType) {
		manifests = w.blobs[e.digest].node.manifests
		for _, d := range manifests {
			if d.mediaType != ociManifest || !d.hasPlatform {
				return nil, badf("%s: its index names something else than an OCI manifest of a platform", e.name)
			}
		}
		if len(manifests) == 0 {
			return nil, badf("%s: its index is empty", e.name)
		}
	}
	for _, d := range manifests {
		n := w.blobs[d.digest].node
		if n.config.mediaType != imageConfig {
			return nil, badf("%s: a config of media type %q", e.name, n.config.mediaType)
		}
		if err := m.match(e.name, n, imageLayer, imageLayer); err != nil {
			return nil, err
		}
	}
	n := w.blobs[pack.digest].node
	if n.artifactType == nil || *n.artifactType != packType || n.config.mediaType != packConfig {
		return nil, badf("%s: its manifest has another artifactType or config", pack.name)
	}
	return m, m.match(pack.name, n, packSmall, packLarge)
}

// match checks the layers of one manifest: number, sizes, media types, and that
// they are those of the model's other manifests (§8).
func (m *model) match(name string, n *node, small, large string) error {
	if len(n.layers) != len(m.plan) {
		return badf("%s: %d layers where %d follow from the lock", name, len(n.layers), len(m.plan))
	}
	if m.layers == nil {
		m.layers = n.layers
	}
	for i, l := range n.layers {
		want := large
		if m.plan[i].small {
			want = small
		}
		switch {
		case l.mediaType != want:
			return badf("%s: layer %d has the media type %q", name, i, l.mediaType)
		case l.size != m.plan[i].size:
			return badf("%s: layer %d has %d bytes where %d follow from the lock", name, i, l.size, m.plan[i].size)
		case l.digest != m.layers[i].digest:
			return badf("%s: layer %d is not that of the other manifests", name, i)
		}
	}
	return nil
}

// framing checks the framing inside of a model's layers (§8, §11.7).
func (w *walker) framing(m *model) error {
	for i := range m.plan {
		start := w.blobs[m.layers[i].digest].start
		what := "layer " + m.layers[i].digest
		_, err := m.plan[i].each(func(name string, frame []byte, at, end int64) error {
			if err := w.src.expect(start+at, frame, what+": "+name); err != nil {
				return err
			}
			// start is a multiple of 4096, so padding is the same from there.
			return w.src.pad(start+end, what+": "+name)
		})
		if err != nil {
			return err
		}
		end := start + m.plan[i].size - endSize
		if err := w.src.expect(end, make([]byte, endSize), what+": the end"); err != nil {
			return err
		}
	}
	return nil
}

// checkFiles checks a file set against the lock (§9, §10).
func (w *walker) checkFiles(files []lockFile, e *entry) error {
	n := w.blobs[e.digest].node
	if n.artifactType == nil || *n.artifactType != filesType {
		return badf("%s: the manifest's artifactType is not %s", e.name, filesType)
	}
	if n.config.mediaType != emptyConfig || n.config.size != 2 || n.config.digest != digestOf([]byte("{}")) {
		return badf("%s: its config is not the empty one", e.name)
	}
	if len(n.layers) != len(files) {
		return badf("%s: %d layers for the %d files of the lock", e.name, len(n.layers), len(files))
	}
	for i, l := range n.layers {
		f := files[i]
		if l.mediaType != filesLayer {
			return badf("%s: layer %d has the media type %q", e.name, i, l.mediaType)
		}
		if title, ok := l.annotations[titleKey]; !ok || title != f.path || l.size != f.size || l.digest != f.digest {
			return badf("%s: layer %d is not the file %q of the lock", e.name, i, f.path)
		}
	}
	return nil
}
