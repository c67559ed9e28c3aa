//go:build tools

// Package oracles names the commands that this module exists to build, beside dsse-check.
package oracles

import (
	_ "github.com/google/go-containerregistry/cmd/crane"
	_ "github.com/sigstore/cosign/v2/cmd/cosign"
)
