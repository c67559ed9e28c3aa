//go:build tools

// Package cluster names the commands that this module exists to build.
package cluster

import _ "k8s.io/kubernetes/cmd/kube-apiserver"
