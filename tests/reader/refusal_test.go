package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// edit rebuilds a stored manifest or index after a change and gives d its new
// digest and size.
func (t *testBundle) edit(d m, f func(o m)) {
	var o m
	if err := json.Unmarshal(t.blobs[d["digest"].(string)], &o); err != nil {
		panic(err)
	}
	f(o)
	t.replace(d, js(o))
}

func (t *testBundle) replace(d m, b []byte) {
	n := t.desc(d["mediaType"].(string), b)
	d["digest"], d["size"] = n["digest"], n["size"]
}

// plain adds an image that is one manifest, changed by f.
func (t *testBundle) plain(f func(o m)) {
	o := m{"schemaVersion": 2, "mediaType": ociManifest, "config": t.desc(imageConfig, []byte("c")),
		"layers": arr{t.desc("l", []byte("l"))}}
	f(o)
	t.addImage("h/r", t.desc(ociManifest, js(o)))
}

// indexed adds an image that is an index, changed by f.
func (t *testBundle) indexed(f func(o m)) {
	man := t.desc(ociManifest, js(m{"schemaVersion": 2, "config": t.desc("c", []byte("c")), "layers": arr{}}))
	o := m{"schemaVersion": 2, "manifests": arr{man}}
	f(o)
	t.addImage("h/r", t.desc(ociIndex, js(o)))
}

func layer0(o m) m { return o["layers"].(arr)[0].(m) }

// nested makes an image of n indexes within each other.
func (t *testBundle) nested(n int) {
	d := t.desc(ociManifest, js(m{"schemaVersion": 2, "config": t.desc("c", []byte("c")), "layers": arr{}}))
	for i := 0; i < n; i++ {
		d = t.desc(ociIndex, js(m{"schemaVersion": 2, "manifests": arr{d}}))
	}
	t.addImage("h/r", d)
}

type graphCase struct {
	name, part string // part "" means: accepted
	f          func(b *testBundle)
}

func runCases(t *testing.T, cases []graphCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBundle()
			c.f(b)
			kind, reason := check(t, b.bytes(), nil, nil)
			want := "integrity"
			if c.part == "" {
				want = "ok"
			}
			wantKind(t, want, c.part, kind, reason)
		})
	}
}

func TestGraph(t *testing.T) {
	plain := func(f func(o m)) func(*testBundle) { return func(b *testBundle) { b.plain(f) } }
	index := func(f func(o m)) func(*testBundle) { return func(b *testBundle) { b.indexed(f) } }
	runCases(t, []graphCase{
		{"plain", "", plain(func(o m) {})},
		{"indexed", "", index(func(o m) {})},
		{"subject and others are carried", "", plain(func(o m) { o["subject"] = 5; o["x"] = m{"y": 1} })},
		{"null mediaType", "mediaType", plain(func(o m) { o["mediaType"] = nil })},
		{"other mediaType", "mediaType", plain(func(o m) { o["mediaType"] = ociIndex })},
		{"schemaVersion", "schemaVersion", plain(func(o m) { o["schemaVersion"] = 1 })},
		{"folded key", "folds", plain(func(o m) { o["Urls"] = 1 })},
		{"folded key in a descriptor", "folds", plain(func(o m) { layer0(o)["ſubject"] = 1 })},
		{"folded twice", "twice", plain(func(o m) { o["a"] = 1; o["A"] = 1 })},
		{"float", "fraction", plain(func(o m) { o["a"] = 1.5 })},
		{"urls", "urls", plain(func(o m) { layer0(o)["urls"] = arr{} })},
		{"data", "data", plain(func(o m) { layer0(o)["data"] = "" })},
		{"annotations", "annotations", plain(func(o m) { layer0(o)["annotations"] = m{"a": 1} })},
		{"null layers", "layers", plain(func(o m) { o["layers"] = nil })},
		{"no config", "config", plain(func(o m) { delete(o, "config") })},
		{"manifests in a manifest", "manifests", plain(func(o m) { o["manifests"] = arr{} })},
		{"layers in an index", "layers", index(func(o m) { o["layers"] = arr{} })},
		{"config in an index", "config", index(func(o m) { o["config"] = nil })},
		{"docker list without mediaType", "mediaType", func(b *testBundle) {
			b.addImage("h/r", b.desc(dockerList, js(m{"schemaVersion": 2, "manifests": arr{}})))
		}},
		{"docker list", "", func(b *testBundle) {
			b.addImage("h/r", b.desc(dockerList, js(m{"schemaVersion": 2, "mediaType": dockerList, "manifests": arr{}})))
		}},
		{"layer is a manifest", "media type", plain(func(o m) { layer0(o)["mediaType"] = ociManifest })},
		{"foreign", "media type", plain(func(o m) { layer0(o)["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" })},
		{"nondistributable", "media type", plain(func(o m) { layer0(o)["mediaType"] = "x.nondistributable.y" })},
		{"bad digest", "digest", plain(func(o m) { layer0(o)["digest"] = "sha512:" + strings.Repeat("a", 128) })},
		{"negative size", "size", plain(func(o m) { layer0(o)["size"] = -1 })},
		{"layer in manifests", "media type", index(func(o m) { o["manifests"].(arr)[0].(m)["mediaType"] = "x" })},
		{"4 indexes", "", func(b *testBundle) { b.nested(4) }},
		{"5 indexes", "nested", func(b *testBundle) { b.nested(5) }},
		{"two sizes", "sizes", plain(func(o m) { o["layers"] = arr{layer0(o), m{"mediaType": "l", "size": 2, "digest": layer0(o)["digest"]}} })},
		{"two types of bytes", "", plain(func(o m) { o["layers"] = arr{layer0(o), m{"mediaType": "k", "size": 1, "digest": layer0(o)["digest"]}} })},
		{"layer named like a manifest", "media types", func(b *testBundle) {
			b.indexed(func(o m) {
				d := m{}
				for k, v := range o["manifests"].(arr)[0].(m) {
					d[k] = v
				}
				d["mediaType"] = "l"
				man := b.desc(ociManifest, js(m{"schemaVersion": 2, "config": b.desc("c", []byte("c")), "layers": arr{d}}))
				o["manifests"] = append(o["manifests"].(arr), man)
			})
		}},
		{"huge size", "framing differs", plain(func(o m) { layer0(o)["size"] = maxInt })},
		{"big manifest", "an index or manifest of", plain(func(o m) { o["x"] = strings.Repeat("x", 4<<20) })},
		{"big config", "64 MiB", func(b *testBundle) {
			b.plain(func(o m) { o["config"] = b.desc("c", make([]byte, 64<<20)) })
		}},
	})
}

func TestEntries(t *testing.T) {
	name := func(s string) func(*testBundle) {
		return func(b *testBundle) {
			b.plain(func(o m) {})
			d := b.entries[0].(m)
			n := strings.ReplaceAll(s, "DIGEST", d["digest"].(string))
			d["annotations"] = ref(n)
			b.lock["images"].(arr)[0].(m)["entry"] = n
		}
	}
	runCases(t, []graphCase{
		{"image", "", name("localhost_5000/a/b@DIGEST")},
		{"port", "not <host>", name("localhost:5000/a/b@DIGEST")},
		{"no slash", "not <host>", name("a@DIGEST")},
		{"no repository", "not <host>", name("a/@DIGEST")},
		{"host models", "label", name("models/a@DIGEST")},
		{"only models", "not <host>", name("models")},
		{"no digest", "not <host>", name("h/r")},
		{"second bundle", "artifactType", name("bundle")},
		{"order", "place", func(b *testBundle) { b.image("h/b"); b.image("h/a") }},
		{"groups", "place", func(b *testBundle) { b.fileset("w", file{"a", nil}); b.image("h/a") }},
		{"twice", "place", func(b *testBundle) { b.image("h/b"); b.entries = append(b.entries, b.entries[0]) }},
		{"artifactType", "artifactType", func(b *testBundle) { b.image("h/b")["artifactType"] = "" }},
		{"no name", "no name", func(b *testBundle) { delete(b.image("h/b"), "annotations") }},
		{"no bundle", "not bundle", func(b *testBundle) {
			b.indexBytes = js(m{"schemaVersion": 2, "mediaType": ociIndex, "manifests": arr{}})
		}},
		{"index without mediaType", "mediaType", func(b *testBundle) { b.indexBytes = js(m{"schemaVersion": 2, "manifests": arr{}}) }},
		{"own artifactType", "artifactType", func(b *testBundle) { b.ownDesc = m{"artifactType": "x"} }},
		{"lone modelpack", "without models", func(b *testBundle) {
			b.model("m", smallFiles(), true, modelTar(smallFiles()...))
			b.entries = b.entries[1:]
		}},
		{"lock without image", "not in it", func(b *testBundle) { b.image("h/b"); b.lock["images"] = arr{} }},
		{"lock names an entry twice", "", func(b *testBundle) {
			b.image("h/b")
			b.lock["images"] = append(b.lock["images"].(arr), b.lock["images"].(arr)...)
		}},
		{"lock size", "another digest or size", func(b *testBundle) { b.image("h/b"); b.lock["images"].(arr)[0].(m)["size"] = 5 }},
	})
}

func TestOwn(t *testing.T) {
	own := func(mt, name string) func(*testBundle) {
		return func(b *testBundle) { b.ownLayers = arr{b.desc(mt, []byte("z"), "annotations", title(name))} }
	}
	runCases(t, []graphCase{
		{"no lock", "no lock.json", func(b *testBundle) { b.noOwnLayers = true; b.ownLayers = arr{} }},
		{"two locks", "two of", own("application/vnd.airbundle.lock.v1+json", "lock.json")},
		{"report's type", "media type", own("x", "report.json")},
		{"BOM's type", "media type", own("application/vnd.cyclonedx+xml", "bom.cdx.json")},
		{"target", "", own("application/vnd.airbundle.manifests.v1+json", "targets/kind.json")},
		{"no title", "no title", func(b *testBundle) { b.ownLayers = arr{b.desc("x", []byte("z"))} }},
		{"no artifactType", "artifactType", func(b *testBundle) { delete(b.own, "artifactType") }},
		{"config's type", "media type", func(b *testBundle) { b.ownCfgDesc = b.desc("x", js(b.config)) }},
		{"config's member", "members", func(b *testBundle) { b.config["x"] = 1 }},
		{"config's version", "version", func(b *testBundle) { b.config["version"] = "1" }},
		{"config's tools", "string", func(b *testBundle) { b.config["tools"] = m{"a": 1} }},
		{"config's targets", "another kind", func(b *testBundle) { b.config["targets"] = arr{1} }},
		{"lock is no JSON", "JSON", func(b *testBundle) { b.lockBytes = []byte("{") }},
		{"lock lacks models", "models", func(b *testBundle) { delete(b.lock, "models") }},
		{"lock names too much", "no entry", func(b *testBundle) { b.lock["files"] = arr{m{"name": "q", "files": lockList(smallFiles())}} }},
	})
}

func TestModels(t *testing.T) {
	files := smallFiles()
	tar := modelTar(files...)
	entry := func(f func(b *testBundle, model, pack m)) func(*testBundle) {
		return func(b *testBundle) {
			model, pack := b.model("m", files, true, tar)
			f(b, model, pack)
		}
	}
	changed := func(old, new string) func(*testBundle) {
		return func(b *testBundle) { b.model("m", files, true, bytes.Replace(tar, []byte(old), []byte(new), 1)) }
	}
	lockFiles := func(fs []file) func(*testBundle) {
		return entry(func(b *testBundle, _, _ m) { b.lock["models"].(arr)[0].(m)["files"] = lockList(fs) })
	}
	setLayer := func(o m, k string, v any) { o["layers"].([]any)[0].(m)[k] = v }
	runCases(t, []graphCase{
		{"one", "", entry(func(b *testBundle, _, _ m) {})},
		{"index", "", entry(func(b *testBundle, d, _ m) {
			man := m{"mediaType": ociManifest, "digest": d["digest"], "size": d["size"], "platform": m{"os": "linux"}}
			d["mediaType"] = ociIndex
			b.replace(d, js(m{"schemaVersion": 2, "manifests": arr{man}}))
		})},
		{"index without platform", "platform", entry(func(b *testBundle, d, _ m) {
			man := m{"mediaType": ociManifest, "digest": d["digest"], "size": d["size"]}
			d["mediaType"] = ociIndex
			b.replace(d, js(m{"schemaVersion": 2, "manifests": arr{man}}))
		})},
		{"other content passes", "", changed("alpha", "omega")},
		{"a header", "framing", changed("models/a.txt", "models/b.txt")},
		{"a path record", "framing", changed("path=models/d", "path=models/e")},
		{"a pad byte", "framing", changed("alpha\x00", "alpha\x01")},
		{"a file more in the lock", "layer 0", lockFiles(append(files, file{"ü", nil}))},
		{"unsorted", "sorted", lockFiles([]file{files[1], files[0], files[2]})},
		{"folder", "folder", lockFiles([]file{{"a", nil}, {"a-", nil}, {"a/b", nil}})},
		{"no files", "no files", lockFiles(nil)},
		{"path", "path", lockFiles([]file{{"../a", nil}})},
		{"pack's layer type", "media type", entry(func(b *testBundle, _, p m) { b.edit(p, func(o m) { setLayer(o, "mediaType", packLarge) }) })},
		{"image's layer type", "media type", entry(func(b *testBundle, d, _ m) {
			b.edit(d, func(o m) { setLayer(o, "mediaType", imageLayer+"+gzip") })
		})},
		{"image's config type", "config", entry(func(b *testBundle, d, _ m) {
			b.edit(d, func(o m) { o["config"].(m)["mediaType"] = "x" })
		})},
		{"pack's other layer", "other manifests", entry(func(b *testBundle, _, p m) {
			b.edit(p, func(o m) { setLayer(o, "digest", b.desc("x", bytes.Repeat([]byte("q"), len(tar)))["digest"]) })
		})},
		{"file set's order", "not the file", func(b *testBundle) {
			b.fileset("w", file{"b", []byte("1")}, file{"a", []byte("2")})
			b.lock["files"].(arr)[0].(m)["files"] = lockList([]file{{"a", []byte("2")}, {"b", []byte("1")}})
		}},
		{"file set's config", "empty", func(b *testBundle) {
			d := b.fileset("w", file{"b", []byte("1")})
			b.edit(d, func(o m) { o["config"] = b.desc(emptyConfig, []byte("{ }")) })
		}},
	})
}

// TestBytes damages files after they were written.
func TestBytes(t *testing.T) {
	at := func(i int, v byte) func([]byte) []byte {
		return func(b []byte) []byte {
			if i < 0 {
				i += len(b)
			}
			b[i] ^= v
			return b
		}
	}
	for name, f := range map[string]func([]byte) []byte{
		"empty":        func([]byte) []byte { return nil },
		"in the slot":  func(b []byte) []byte { return b[:1000] },
		"cut":          func(b []byte) []byte { return b[:len(b)-1] },
		"cut a block":  func(b []byte) []byte { return b[:len(b)-512] },
		"more":         func(b []byte) []byte { return append(b, 0) },
		"more blocks":  func(b []byte) []byte { return append(b, make([]byte, 10240)...) },
		"end":          at(-1, 1),
		"slot header":  at(3, 1),
		"layout":       at(layoutContent, 1),
		"layout pad":   at(layoutContent+100, 1),
		"index header": at(indexHeader+300, 1),
		"index size":   at(indexHeader+130, 0x40),
		"index":        at(indexContent+5, 1),
		"last content": at(-1024-512, 1), // the last blob of full is 1 byte or more
	} {
		b := full()
		b.fileset("zz", file{"x", []byte("last blob")})
		b.envelope, b.raw = nil, f
		if kind, reason := check(t, b.bytes(), nil, nil); kind != "integrity" {
			t.Errorf("%s: %s %s", name, kind, reason)
		}
	}
	b := full()
	b.bytes()
	o := append([]string{}, b.order...)
	n := len(o)
	for name, order := range map[string][]string{
		"swapped":  append(append(append([]string{}, o[:n-2]...), o[n-1]), o[n-2]),
		"missing":  o[:n-1],
		"twice":    append(append([]string{}, o...), o[n-1]),
		"too much": append(append([]string{}, o...), b.desc("x", []byte("extra"))["digest"].(string)),
	} {
		b.order = order
		if kind, reason := check(t, b.write(), nil, alice); kind != "integrity" {
			t.Errorf("%s: %s %s", name, kind, reason)
		}
	}
}

// TestEveryFramingByte flips each byte of a small bundle: none may pass.
func TestEveryFramingByte(t *testing.T) {
	b := newBundle()
	b.model("m", smallFiles(), true, modelTar(smallFiles()...))
	b.envelope = byAlice
	data := b.bytes()
	verify := func() error {
		src := &source{r: bytes.NewReader(data), size: int64(len(data))}
		st, err := parseStatement(js(b.st))
		if err != nil {
			t.Fatal(err)
		}
		return verifyContent(src, st)
	}
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	for i := layoutHeader; i < len(data); i++ {
		data[i] ^= 0x20
		if verify() == nil {
			t.Fatalf("a change at %d passes", i)
		}
		data[i] ^= 0x20
	}
}
