package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// The tiny writer of the tests. It shares no framing code with the reader.

type m = map[string]any
type arr = []any

// js is canonical JSON of plain test values.
func js(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func hexsum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// tarHeader is an independent spelling of the header of §2.
func tarHeader(name string, size int, flag string) string {
	nul := func(s string, n int) string { return s + strings.Repeat("\x00", n-len(s)) }
	num := fmt.Sprintf("%011o\x00", size)
	pre := nul(name, 100) + "0000644\x00" + "0000000\x00" + "0000000\x00" + num + "00000000000\x00"
	post := flag + nul("", 100) + "ustar\x00" + "00" + nul("", 64) + "0000000\x00" + "0000000\x00" + nul("", 167)
	sum := 8 * 32
	for _, c := range []byte(pre + post) {
		sum += int(c)
	}
	return pre + fmt.Sprintf("%06o\x00 ", sum) + post
}

func pad512(b *bytes.Buffer) {
	for b.Len()%512 != 0 {
		b.WriteByte(0)
	}
}

// aligned appends a member whose content is aligned to 4096.
func aligned(out *bytes.Buffer, name string, content []byte) {
	ascii, path := "", false
	for _, c := range []byte(name) {
		if c > 127 {
			ascii, path = ascii+"_", true
		} else {
			ascii += string(rune(c))
		}
	}
	if len(name) > 100 {
		path = true
	}
	if len(ascii) > 100 {
		ascii = ascii[:100]
	}
	p := out.Len()
	if path || (p+512)%4096 != 0 {
		rec := ""
		if path {
			for n := 1; ; n++ {
				if rec = fmt.Sprintf("%d path=%s\n", n, name); len(rec) == n {
					break
				}
			}
		}
		b := 512
		for b < len(rec)+12 || (p+512+b+512)%4096 != 0 {
			b += 512
		}
		l := len(rec) + 12
		if b-511 > l {
			l = b - 511
		}
		r := l - len(rec)
		rec += fmt.Sprintf("%d comment=", r)
		rec += strings.Repeat(".", l-len(rec)-1) + "\n"
		out.WriteString(tarHeader("././@PaxHeader", len(rec), "x") + rec)
		pad512(out)
	}
	out.WriteString(tarHeader(ascii, len(content), "0"))
	out.Write(content)
	pad512(out)
}

// file is a file of a model or a file set in the tests.
type file struct {
	path    string
	content []byte
}

// modelTar packs a model layer.
func modelTar(files ...file) []byte {
	var b bytes.Buffer
	for _, f := range files {
		aligned(&b, "models/"+f.path, f.content)
	}
	b.Write(make([]byte, 1024))
	return b.Bytes()
}

// testBundle collects blobs; the hooks change single things.
type testBundle struct {
	blobs       map[string][]byte
	order       []string // nil: by the walk
	entries     arr
	index       m
	indexBytes  []byte
	config      m
	lock        m
	lockBytes   []byte
	own         m
	ownLayers   arr
	st          m
	envelope    func(payload []byte) []byte
	slot        []byte
	raw         func([]byte) []byte
	meta, rest  []string
	ownCfgDesc  m
	ownDesc     m
	noOwnLayers bool
}

func newBundle() *testBundle {
	t := &testBundle{blobs: map[string][]byte{}}
	t.config = m{"formatVersion": 1, "name": "movie-search", "version": "1.4.0", "targets": arr{"kind"},
		"parameters": arr{}, "imageMap": arr{}, "tools": m{"helm": "3.1"}}
	t.lock = m{"models": arr{}, "files": arr{}, "images": arr{}, "else": 1}
	t.own = m{"schemaVersion": 2, "mediaType": ociManifest, "artifactType": bundleType}
	t.st = m{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://airbundle.dev/release/v1",
		"predicate": m{"formatVersion": 1, "name": "movie-search", "version": "1.4.0"}}
	return t
}

// desc stores a blob and returns its descriptor.
func (t *testBundle) desc(mt string, b []byte, extra ...any) m {
	d := m{"mediaType": mt, "digest": "sha256:" + hexsum(b), "size": len(b)}
	t.blobs["sha256:"+hexsum(b)] = b
	for i := 0; i+1 < len(extra); i += 2 {
		d[extra[i].(string)] = extra[i+1]
	}
	return d
}

func title(s string) m { return m{titleKey: s} }
func ref(s string) m   { return m{refNameKey: s} }

// image adds an image with an index of manifests and some layers.
func (t *testBundle) image(repo string, layers ...[]byte) m {
	ls := arr{}
	for _, l := range layers {
		ls = append(ls, t.desc("application/vnd.oci.image.layer.v1.tar+gzip", l))
	}
	man := t.desc(ociManifest, js(m{"schemaVersion": 2, "mediaType": ociManifest,
		"config": t.desc(imageConfig, []byte("config of "+repo)), "layers": ls}))
	idx := t.desc(ociIndex, js(m{"schemaVersion": 2, "mediaType": ociIndex, "manifests": arr{man}}))
	return t.addImage(repo, idx)
}

func (t *testBundle) addImage(repo string, d m) m {
	name := repo + "@" + d["digest"].(string)
	d["annotations"] = ref(name)
	t.entries = append(t.entries, d)
	t.lock["images"] = append(t.lock["images"].(arr), m{"entry": name, "name": "x", "digest": d["digest"], "size": d["size"]})
	return d
}

func lockList(files []file) arr {
	out := arr{}
	for _, f := range files {
		out = append(out, m{"path": f.path, "size": len(f.content), "digest": "sha256:" + hexsum(f.content)})
	}
	return out
}

// model adds a model for one platform with its ModelPack; layers are the tars,
// of which the first holds small files if small is set.
func (t *testBundle) model(name string, files []file, small bool, tars ...[]byte) (model, pack m) {
	ml, pl := arr{}, arr{}
	for i, b := range tars {
		mt := packLarge
		if small && i == 0 {
			mt = packSmall
		}
		ml = append(ml, t.desc(imageLayer, b))
		pl = append(pl, t.desc(mt, b))
	}
	man := m{"schemaVersion": 2, "mediaType": ociManifest, "config": t.desc(imageConfig, []byte("{}")), "layers": ml}
	model = t.desc(ociManifest, js(man), "annotations", ref("models/"+name))
	man = m{"schemaVersion": 2, "mediaType": ociManifest, "artifactType": packType,
		"config": t.desc("application/vnd.cncf.model.config.v1+json", []byte("{ }")), "layers": pl}
	pack = t.desc(ociManifest, js(man), "annotations", ref("modelpacks/"+name), "artifactType", packType)
	t.entries = append(t.entries, model, pack)
	t.lock["models"] = append(t.lock["models"].(arr), m{"name": name, "files": lockList(files)})
	return
}

// fileset adds a file set.
func (t *testBundle) fileset(name string, files ...file) m {
	ls := arr{}
	for _, f := range files {
		ls = append(ls, t.desc(filesLayer, f.content, "annotations", title(f.path)))
	}
	man := m{"schemaVersion": 2, "mediaType": ociManifest, "artifactType": filesType,
		"config": t.desc(emptyConfig, []byte("{}")), "layers": ls}
	d := t.desc(ociManifest, js(man), "annotations", ref("files/"+name), "artifactType", filesType)
	t.entries = append(t.entries, d)
	t.lock["files"] = append(t.lock["files"].(arr), m{"name": name, "files": lockList(files)})
	return d
}

// list walks the graph for the order of blobs: "meta" first, then layers.
func (t *testBundle) list(d m, own bool) {
	dig := d["digest"].(string)
	for _, x := range t.meta {
		if x == dig {
			return
		}
	}
	t.meta = append(t.meta, dig)
	var n struct {
		Manifests []m
		Config    m
		Layers    []m
	}
	if json.Unmarshal(t.blobs[dig], &n) != nil || !isIndex(d["mediaType"].(string)) && !isManifest(d["mediaType"].(string)) {
		return
	}
	for _, c := range n.Manifests {
		t.list(c, false)
	}
	if n.Config != nil {
		t.list(n.Config, false)
	}
	for _, l := range n.Layers {
		if own {
			t.list(l, false)
		} else {
			t.rest = append(t.rest, l["digest"].(string))
		}
	}
}

// bytes writes the whole file.
func (t *testBundle) bytes() []byte {
	if t.lockBytes == nil {
		t.lockBytes = js(t.lock)
	}
	if !t.noOwnLayers {
		t.ownLayers = append(arr{t.desc("application/vnd.airbundle.lock.v1+json", t.lockBytes, "annotations", title("lock.json"))}, t.ownLayers...)
	}
	t.own["layers"] = t.ownLayers
	if t.ownCfgDesc == nil {
		t.ownCfgDesc = t.desc(configType, js(t.config))
	}
	t.own["config"] = t.ownCfgDesc
	d := t.desc(ociManifest, js(t.own), "annotations", ref("bundle"), "artifactType", bundleType)
	for k, v := range t.ownDesc {
		d[k] = v
	}
	t.index = m{"schemaVersion": 2, "mediaType": ociIndex, "manifests": append(arr{d}, t.entries...)}
	if t.indexBytes == nil {
		t.indexBytes = js(t.index)
	}
	for i, e := range t.index["manifests"].(arr) {
		t.list(e.(m), i == 0)
	}
	if t.order == nil {
		seen := map[string]bool{}
		for _, x := range append(t.meta, t.rest...) {
			if !seen[x] {
				seen[x] = true
				t.order = append(t.order, x)
			}
		}
	}
	return t.write()
}

func (t *testBundle) write() []byte {
	var out bytes.Buffer
	t.st["predicate"].(m)["indexSize"] = len(t.indexBytes)
	if t.st["subject"] == nil {
		t.st["subject"] = arr{m{"name": "index.json", "digest": m{"sha256": hexsum(t.indexBytes)}}}
	}
	slot := t.slot
	if t.envelope != nil {
		slot = t.envelope(js(t.st))
	}
	out.WriteString(tarHeader("airbundle.sig.json", 65536, "0"))
	out.Write(slot)
	out.WriteString(strings.Repeat(" ", 65536-len(slot)))
	out.WriteString(tarHeader("oci-layout", 30, "0") + layout)
	pad512(&out)
	out.WriteString(tarHeader("index.json", len(t.indexBytes), "0"))
	out.Write(t.indexBytes)
	pad512(&out)
	for _, d := range t.order {
		aligned(&out, "blobs/sha256/"+d[7:], t.blobs[d])
	}
	out.Write(make([]byte, 1024))
	if t.raw != nil {
		return t.raw(out.Bytes())
	}
	return out.Bytes()
}

// sealed makes an envelope of signatures, sorted by keyid.
func sealed(payload []byte, sigs map[string][]byte) []byte {
	ids := []string{}
	for id := range sigs {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	list := arr{}
	for _, id := range ids {
		list = append(list, m{"keyid": id, "sig": base64.StdEncoding.EncodeToString(sigs[id])})
	}
	return js(m{"payload": base64.StdEncoding.EncodeToString(payload), "payloadType": payloadType, "signatures": list})
}
