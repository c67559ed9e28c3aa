//go:build tools

// Package versitygw names the command that this module exists to build.
package versitygw

import _ "github.com/versity/versitygw/cmd/versitygw"
