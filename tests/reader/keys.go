package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
)

// publicKey is a key of one of the three kinds of §4.
type publicKey struct {
	id  string // hex sha256 of the DER SubjectPublicKeyInfo
	key any
}

// loadKey reads one PEM "PUBLIC KEY".
func loadKey(file string) (*publicKey, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("no PEM block PUBLIC KEY")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("more than one key")
	}
	return newKey(block.Bytes)
}

// newKey makes a key of its DER SubjectPublicKeyInfo.
func newKey(der []byte) (*publicKey, error) {
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			return nil, errors.New("an ECDSA key that is not P-256 or P-384")
		}
	case ed25519.PublicKey:
	default:
		return nil, errors.New("neither ECDSA nor Ed25519")
	}
	again, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil || !bytes.Equal(again, der) {
		return nil, errors.New("not the canonical DER of the key")
	}
	sum := sha256.Sum256(der)
	return &publicKey{id: hex.EncodeToString(sum[:]), key: pub}, nil
}

// verify checks a signature over msg (§4, "A signature").
func (k *publicKey) verify(msg, sig []byte) bool {
	switch pub := k.key.(type) {
	case *ecdsa.PublicKey:
		if pub.Curve == elliptic.P384() {
			sum := sha512.Sum384(msg)
			return ecdsa.VerifyASN1(pub, sum[:], sig)
		}
		sum := sha256.Sum256(msg)
		return ecdsa.VerifyASN1(pub, sum[:], sig)
	case ed25519.PublicKey:
		return ed25519.Verify(pub, msg, sig)
	}
	return false
}
