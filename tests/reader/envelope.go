package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

const (
	slotSize    = 65536
	payloadType = "application/vnd.in-toto+json"
	maxSigs     = 64
)

// policy says whose signatures count. Its threshold is 1.
type policy struct {
	keys          map[string]*publicKey
	allowUnsigned bool
}

// signature is one of an envelope's signatures.
type signature struct {
	keyid string
	sig   []byte
}

// envelope is a DSSE envelope (§4).
type envelope struct {
	payload []byte
	sigs    []signature
}

// parseEnvelope reads an envelope that stands alone in b (§4).
func parseEnvelope(b []byte) (*envelope, error) {
	if len(b) > slotSize {
		return nil, errors.New("longer than 65536 bytes")
	}
	o, err := parseCanonical(b)
	if err != nil {
		return nil, err
	}
	if err := exactly(o, "payload", "payloadType", "signatures"); err != nil {
		return nil, err
	}
	if o["payloadType"] != payloadType {
		return nil, errors.New("another payloadType")
	}
	e := &envelope{}
	if e.payload, err = base64Member(o, "payload"); err != nil {
		return nil, err
	}
	arr, err := arrMember(o, "signatures")
	if err != nil {
		return nil, err
	}
	if len(arr) < 1 || len(arr) > maxSigs {
		return nil, errors.New("not 1 to 64 signatures")
	}
	for i, v := range arr {
		s, err := parseSignature(v)
		if err != nil {
			return nil, fmt.Errorf("signature %d: %w", i, err)
		}
		if i > 0 && s.keyid <= e.sigs[i-1].keyid {
			return nil, errors.New("signatures not sorted by keyid, each once")
		}
		e.sigs = append(e.sigs, s)
	}
	return e, nil
}

// parseSignature reads one element of "signatures" (§4).
func parseSignature(v any) (signature, error) {
	var s signature
	o, ok := v.(object)
	if !ok {
		return s, errors.New("not an object")
	}
	err := exactly(o, "keyid", "sig")
	if err != nil {
		return s, err
	}
	if s.keyid, err = strMember(o, "keyid"); err != nil {
		return s, err
	}
	if !isHex64(s.keyid) {
		return s, errors.New("keyid is not 64 lower-case hex digits")
	}
	s.sig, err = base64Member(o, "sig")
	return s, err
}

// base64Member reads a member in canonical base64 (§4).
func base64Member(o object, name string) ([]byte, error) {
	s, err := strMember(o, name)
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(b) != s {
		return nil, fmt.Errorf("%q is not canonical base64", name)
	}
	return b, nil
}

// parseSlot reads the content of the slot; nil when only spaces (§4).
func parseSlot(b []byte) (*envelope, error) {
	t := bytes.TrimRight(b, " ")
	if len(t) == 0 {
		return nil, nil
	}
	e, err := parseEnvelope(t)
	if err != nil {
		return nil, trustf("envelope in the slot: %v", err)
	}
	return e, nil
}

// readSidecar reads the sidecar's bytes; nil when there is none (§4, §11.1).
func readSidecar(file string) ([]byte, error) {
	f, err := os.Open(file + ".sig.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, trustf("sidecar: %v", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, slotSize+1))
	if err != nil {
		return nil, trustf("sidecar: %v", err)
	}
	if len(b) > slotSize {
		return nil, trustf("sidecar: longer than 65536 bytes")
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

// merge reads slot and sidecar (nil when there is none) and merges them; nil
// when neither holds an envelope (§4).
func merge(slot, sidecar []byte) (*envelope, error) {
	e, err := parseSlot(slot)
	if err != nil || sidecar == nil {
		return e, err
	}
	s, err := parseEnvelope(sidecar)
	if err != nil {
		return nil, trustf("envelope in the sidecar: %v", err)
	}
	if e == nil {
		return s, nil
	}
	if !bytes.Equal(e.payload, s.payload) {
		return nil, trustf("slot and sidecar carry different payloads")
	}
	merged := map[string][]byte{}
	for _, each := range append(append([]signature{}, s.sigs...), e.sigs...) {
		merged[each.keyid] = each.sig // the slot's come last
	}
	if len(merged) > maxSigs || mergedSize(e.payload, merged) > slotSize {
		return nil, trustf("slot and sidecar together make no envelope")
	}
	e.sigs = append(e.sigs, s.sigs...) // one keyid may stand twice now: both are checked
	return e, nil
}

// mergedSize is the length of the canonical envelope with these signatures (§4).
func mergedSize(payload []byte, sigs map[string][]byte) int {
	const frame = `{"payload":"","payloadType":"` + payloadType + `","signatures":[]}`
	const each = `{"keyid":"","sig":""}`
	size := len(frame) + base64.StdEncoding.EncodedLen(len(payload)) + len(sigs) - 1 // commas
	for _, sig := range sigs {
		size += len(each) + 64 + base64.StdEncoding.EncodedLen(len(sig))
	}
	return size
}

// pae is the DSSE pre-authentication encoding (§4).
func pae(payload []byte) []byte {
	head := fmt.Sprintf("DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload))
	return append([]byte(head), payload...)
}

// check holds an envelope's signatures to the policy (§4, §11.2).
func (p policy) check(e *envelope) error {
	if e == nil {
		if p.allowUnsigned {
			return nil
		}
		return trustf("the bundle is not signed")
	}
	msg := pae(e.payload)
	good := map[string]bool{}
	for _, s := range e.sigs {
		k := p.keys[s.keyid]
		if k == nil {
			continue
		}
		if !k.verify(msg, s.sig) {
			return trustf("the signature of the trusted key %s does not verify", s.keyid)
		}
		good[k.id] = true
	}
	if len(good) < 1 && !p.allowUnsigned {
		return trustf("no signature of a trusted key")
	}
	return nil
}
