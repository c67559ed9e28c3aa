package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// signer is a key of the tests.
type signer struct {
	id, pem string
	sign    func(msg []byte) []byte
}

func newSigner(kind string) *signer {
	var key crypto.Signer
	switch kind {
	case "ed25519":
		_, k, _ := ed25519.GenerateKey(rand.Reader)
		key = k
	case "p384":
		key, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "p521":
		key, _ = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	default:
		key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	s := &signer{id: hexsum(der), pem: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	s.sign = func(msg []byte) []byte {
		h, opt := msg, crypto.SignerOpts(crypto.Hash(0))
		switch kind {
		case "p256":
			x := sha256.Sum256(msg)
			h, opt = x[:], crypto.SHA256
		case "p384":
			x := sha512.Sum384(msg)
			h, opt = x[:], crypto.SHA384
		}
		sig, err := key.Sign(rand.Reader, h, opt)
		if err != nil {
			panic(err)
		}
		return sig
	}
	return s
}

var (
	alice = newSigner("p256")
	bob   = newSigner("ed25519")
)

// seal signs a payload by some keys.
func seal(payload []byte, by ...*signer) []byte {
	sigs := map[string][]byte{}
	for _, s := range by {
		sigs[s.id] = s.sign([]byte(fmt.Sprintf("DSSEv1 28 application/vnd.in-toto+json %d %s", len(payload), payload)))
	}
	return sealed(payload, sigs)
}

func byAlice(p []byte) []byte { return seal(p, alice) }

// check runs the command over one bundle and returns kind and reason.
func check(t *testing.T, data, sidecar []byte, key *signer) (string, string) {
	t.Helper()
	dir := t.TempDir()
	f := filepath.Join(dir, "b.airbundle")
	put(t, f, data)
	if sidecar != nil {
		put(t, f+".sig.json", sidecar)
	}
	args := []string{"verify", "--allow-unsigned", f}
	if key != nil {
		put(t, filepath.Join(dir, "k.pem"), []byte(key.pem))
		args = []string{"verify", "--key", filepath.Join(dir, "k.pem"), f}
	}
	var out, errs bytes.Buffer
	st := run(args, &out, &errs)
	parts := append(strings.SplitN(strings.TrimSuffix(out.String(), "\n"), "\t", 3), "", "")
	if parts[0] != f || st != map[string]int{"ok": 0, "integrity": 3, "trust": 4}[parts[1]] {
		t.Fatalf("status %d, output %q, %q", st, out.String(), errs.String())
	}
	return parts[1], parts[2]
}

func put(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, want, part, kind, reason string) {
	t.Helper()
	if kind != want || !strings.Contains(reason, part) {
		t.Errorf("%s: %s (want %s … %s)", kind, reason, want, part)
	}
}

func smallFiles() []file {
	return []file{{"a.txt", []byte("alpha")}, {"d/" + strings.Repeat("long", 30), []byte("beta")}, {"é.txt", nil}}
}

// full is a bundle with something of everything.
func full() *testBundle {
	b := newBundle()
	b.envelope = byAlice
	b.ownLayers = arr{b.desc("application/vnd.airbundle.sources.v1.tar", make([]byte, 1024), "annotations", title("sources.tar")),
		b.desc("text/x", []byte("later"), "annotations", title("later.txt"))}
	b.image("docker.io/library/a", bytes.Repeat([]byte("x"), 10000), []byte("y"))
	b.image("quay.io/b", []byte("y"), []byte("z"), nil)
	big := bytes.Repeat([]byte("w"), largeFile)
	files := append(smallFiles(), file{"ü/big", big})
	b.model("m", files, true, modelTar(smallFiles()...), modelTar(files[3]))
	b.fileset("web", file{"i.html", []byte("y")}, file{"sub/x", nil})
	return b
}

func TestAccept(t *testing.T) {
	for _, kind := range []string{"p256", "p384", "ed25519"} {
		s := newSigner(kind)
		b := full()
		b.envelope = func(p []byte) []byte { return seal(p, s, bob) }
		kindGot, reason := check(t, b.bytes(), nil, s)
		wantKind(t, "ok", "", kindGot, reason)
	}
	b := full()
	b.envelope = nil
	data := b.bytes()
	kind, reason := check(t, data, nil, nil)
	wantKind(t, "ok", "", kind, reason)
	kind, reason = check(t, data, nil, alice)
	wantKind(t, "trust", "not signed", kind, reason)
	// Unsigned in the slot, signed beside.
	kind, reason = check(t, data, byAlice(js(b.st)), alice)
	wantKind(t, "ok", "", kind, reason)
	kind, reason = check(t, data, seal(js(b.st), bob), alice)
	wantKind(t, "trust", "no signature of a trusted", kind, reason)
	kind, reason = check(t, data, seal(js(b.st), bob), nil)
	wantKind(t, "ok", "", kind, reason)
	kind, reason = check(t, newBundle().bytes(), nil, nil)
	wantKind(t, "ok", "", kind, reason)
}

func TestSidecar(t *testing.T) {
	b := full()
	data := b.bytes()
	pay := js(b.st)
	broken := func(p []byte) []byte { return sealed(p, map[string][]byte{alice.id: []byte("no")}) }
	other := js(m{"other": 1})
	for name, c := range map[string]struct {
		sidecar []byte
		want    string
	}{
		"same again":     {byAlice(pay), "ok"},
		"another key":    {seal(pay, bob), "ok"},
		"untrusted junk": {sealed(pay, map[string][]byte{bob.id: nil}), "ok"},
		"broken":         {broken(pay), "trust"},
		"other payload":  {byAlice(other), "trust"},
		"empty":          {[]byte{}, "trust"},
		"spaces":         {[]byte("   "), "trust"},
		"newline behind": {append(byAlice(pay), '\n'), "trust"},
		"too long":       {append(byAlice(pay), bytes.Repeat([]byte(" "), 65536)...), "trust"},
	} {
		kind, reason := check(t, data, c.sidecar, alice)
		if kind != c.want {
			t.Errorf("%s: %s %s", name, kind, reason)
		}
	}
}

func TestEnvelopeRefusals(t *testing.T) {
	env := func(f func(o object)) func([]byte) []byte {
		return func(p []byte) []byte {
			o, _ := parseObject(byAlice(p))
			f(o)
			return canonical(nil, o)
		}
	}
	sig := func(o object) object { return o["signatures"].([]any)[0].(object) }
	for name, f := range map[string]func([]byte) []byte{
		"type":       env(func(o object) { o["payloadType"] = "x" }),
		"unknown":    env(func(o object) { o["x"] = "x" }),
		"sig member": env(func(o object) { sig(o)["cert"] = "x" }),
		"keyid":      env(func(o object) { sig(o)["keyid"] = strings.ToUpper(alice.id) }),
		"none":       env(func(o object) { o["signatures"] = []any{} }),
		"twice":      env(func(o object) { o["signatures"] = []any{sig(o), sig(o)} }),
		"base64":     env(func(o object) { o["payload"] = o["payload"].(string) + "\n" }),
		"bad sig":    env(func(o object) { sig(o)["sig"] = "AAAA" }),
		"bits":       env(func(o object) { sig(o)["sig"] = "AB==" }),
		"leading":    func(p []byte) []byte { return append([]byte(" "), byAlice(p)...) },
		"trailing":   func(p []byte) []byte { return append(byAlice(p), '\n') },
		"nul":        func(p []byte) []byte { return append(byAlice(p), 0) },
		"other key":  func(p []byte) []byte { return seal(p, bob) },
		"payload":    func(p []byte) []byte { return byAlice(append(p, ' ')) },
		"junk":       func(p []byte) []byte { return []byte("junk") },
	} {
		b := newBundle()
		b.envelope = f
		if kind, reason := check(t, b.bytes(), nil, alice); kind != "trust" {
			t.Errorf("%s: %s %s", name, kind, reason)
		}
	}
}

func TestStatementRefusals(t *testing.T) {
	pred := func(s m) m { return s["predicate"].(m) }
	for name, c := range map[string]struct {
		f    func(s m)
		want string
	}{
		"type":     {func(s m) { s["_type"] = "x" }, "trust"},
		"ptype":    {func(s m) { s["predicateType"] = "x" }, "trust"},
		"member":   {func(s m) { s["x"] = 1 }, "trust"},
		"pmember":  {func(s m) { pred(s)["x"] = 1 }, "trust"},
		"format":   {func(s m) { pred(s)["formatVersion"] = 2 }, "trust"},
		"name":     {func(s m) { pred(s)["name"] = "A" }, "trust"},
		"version":  {func(s m) { pred(s)["version"] = "1" }, "trust"},
		"subjects": {func(s m) { s["subject"] = arr{} }, "trust"},
		"subject":  {func(s m) { s["subject"] = arr{m{"name": "x", "digest": m{"sha256": strings.Repeat("a", 64)}}} }, "trust"},
		"digests": {func(s m) {
			s["subject"] = arr{m{"name": "index.json", "digest": m{"sha256": strings.Repeat("a", 64), "sha1": "x"}}}
		}, "trust"},
		"digest": {func(s m) {
			s["subject"] = arr{m{"name": "index.json", "digest": m{"sha256": strings.Repeat("a", 64)}}}
		}, "integrity"},
		"other name":    {func(s m) { pred(s)["name"] = "other" }, "integrity"},
		"other version": {func(s m) { pred(s)["version"] = "1.4.1" }, "integrity"},
	} {
		b := newBundle()
		b.envelope = byAlice
		c.f(b.st)
		if kind, reason := check(t, b.bytes(), nil, alice); kind != c.want {
			t.Errorf("%s: %s %s", name, kind, reason)
		}
		b = newBundle()
		b.envelope = func(p []byte) []byte { return seal(p, bob) }
		c.f(b.st)
		if kind, reason := check(t, b.bytes(), nil, nil); kind != c.want {
			t.Errorf("%s, unsigned allowed: %s %s", name, kind, reason)
		}
	}
}

func TestCommand(t *testing.T) {
	dir := t.TempDir()
	k := filepath.Join(dir, "k.pem")
	put(t, k, []byte(newSigner("p521").pem))
	f := filepath.Join(dir, "f")
	put(t, f, newBundle().bytes())
	var out, errs bytes.Buffer
	for _, args := range [][]string{{}, {"verify"}, {"verify", f}, {"verify", "--key", k, f}, {"verify", "--allow-unsigned"},
		{"verify", "--allow-unsigned", "--key", k, f}, {"verify", "--x", f}, {"sign", "--allow-unsigned", f}} {
		if st := run(args, &out, &errs); st != 2 || out.Len() > 0 {
			t.Errorf("%q: %d", args, st)
		}
	}
	put(t, k, []byte(alice.pem))
	if st := run([]string{"verify", "--key", k, f, filepath.Join(dir, "none")}, &out, &errs); st != 4 {
		t.Error(st)
	}
	if st := run([]string{"verify", "--allow-unsigned", f, filepath.Join(dir, "none"), f}, &out, &errs); st != 3 {
		t.Error(st)
	}
	if n := strings.Count(out.String(), "\n"); n != 5 {
		t.Error(out.String())
	}
}
