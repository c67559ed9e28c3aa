// Command dsse-check asks go-securesystemslib whether a DSSE envelope is signed as wanted.
//
//	dsse-check [-threshold N] ENVELOPE PUBLIC_KEY.pem...
//
// Each accepted key is printed as the hex sha256 of its SubjectPublicKeyInfo, one a line.
// The exit status is 0 when at least N of the keys signed, 1 when not, 2 for bad arguments.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/signerverifier"
)

func main() {
	threshold := flag.Int("threshold", 1, "how many of the keys must have signed")
	flag.Parse()
	if flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "usage: dsse-check [-threshold N] ENVELOPE PUBLIC_KEY.pem...")
		os.Exit(2)
	}
	accepted, err := check(flag.Arg(0), flag.Args()[1:], *threshold)
	for _, key := range accepted {
		fmt.Println(key.KeyID)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dsse-check:", err)
		os.Exit(1)
	}
}

// check returns the keys whose signatures hold, and an error below the threshold.
func check(path string, keyPaths []string, threshold int) ([]dsse.AcceptedKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	envelope := &dsse.Envelope{}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(envelope); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var verifiers []dsse.Verifier
	for _, keyPath := range keyPaths {
		verifier, err := loadVerifier(keyPath)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", keyPath, err)
		}
		verifiers = append(verifiers, verifier)
	}
	verifier, err := dsse.NewMultiEnvelopeVerifier(threshold, verifiers...)
	if err != nil {
		return nil, err
	}
	return verifier.Verify(context.Background(), envelope)
}

// loadVerifier lets the library pick the algorithm; the key id is ours, because the library's
// own hashes a form of the key that only it knows.
func loadVerifier(path string) (dsse.Verifier, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("no PEM block PUBLIC KEY")
	}
	key, err := signerverifier.LoadKey(text)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(block.Bytes)
	key.KeyID = hex.EncodeToString(digest[:])
	switch key.KeyType {
	case signerverifier.ECDSAKeyType:
		return signerverifier.NewECDSASignerVerifierFromSSLibKey(key)
	case signerverifier.ED25519KeyType:
		return signerverifier.NewED25519SignerVerifierFromSSLibKey(key)
	default:
		return nil, fmt.Errorf("key type %q is not for bundles", key.KeyType)
	}
}
