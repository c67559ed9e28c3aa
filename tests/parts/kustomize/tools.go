//go:build tools

// Package kustomize names the command that this module exists to build.
package kustomize

import _ "sigs.k8s.io/kustomize/kustomize/v5"
