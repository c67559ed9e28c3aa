package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

const maxIndex = 16 << 20 // §4, §5

// statement is what the payload says (§4).
type statement struct {
	indexSHA256 string
	name        string
	version     string
	indexSize   int64
}

// parseStatement reads the payload (§4).
func parseStatement(payload []byte) (*statement, error) {
	s, err := statementOf(payload)
	if err != nil {
		return nil, trustf("statement: %v", err)
	}
	return s, nil
}

func statementOf(payload []byte) (*statement, error) {
	o, err := parseCanonical(payload)
	if err != nil {
		return nil, err
	}
	if err := exactly(o, "_type", "subject", "predicateType", "predicate"); err != nil {
		return nil, err
	}
	if o["_type"] != "https://in-toto.io/Statement/v1" {
		return nil, errors.New("another _type")
	}
	if o["predicateType"] != "https://airbundle.dev/release/v1" {
		return nil, errors.New("another predicateType")
	}
	st := &statement{}
	if st.indexSHA256, err = subjectOf(o); err != nil {
		return nil, err
	}
	p, err := objMember(o, "predicate")
	if err != nil {
		return nil, err
	}
	if err := exactly(p, "formatVersion", "name", "version", "indexSize"); err != nil {
		return nil, fmt.Errorf("predicate: %w", err)
	}
	if st.name, st.version, err = release(p); err != nil {
		return nil, err
	}
	st.indexSize, err = intMember(p, "indexSize", 1, maxIndex)
	return st, err
}

// subjectOf returns the sha256 of the one subject (§4).
func subjectOf(o object) (string, error) {
	arr, err := arrMember(o, "subject")
	if err != nil {
		return "", err
	}
	if len(arr) != 1 {
		return "", errors.New("not exactly one subject")
	}
	s, ok := arr[0].(object)
	if !ok {
		return "", errors.New("the subject is not an object")
	}
	if err := exactly(s, "name", "digest"); err != nil {
		return "", fmt.Errorf("subject: %w", err)
	}
	if s["name"] != "index.json" {
		return "", errors.New("the subject is not index.json")
	}
	d, err := objMember(s, "digest")
	if err != nil {
		return "", err
	}
	if err := exactly(d, "sha256"); err != nil {
		return "", fmt.Errorf("digest: %w", err)
	}
	h, err := strMember(d, "sha256")
	if err == nil && !isHex64(h) {
		err = errors.New("sha256 is not 64 lower-case hex digits")
	}
	return h, err
}

// release reads formatVersion, name and version, which the predicate (§4) and
// the bundle's config (§7) have in common.
func release(o object) (name, version string, err error) {
	if _, err = intMember(o, "formatVersion", 1, 1); err != nil {
		return
	}
	if name, err = strMember(o, "name"); err != nil {
		return
	}
	if !isLabel(name) {
		return "", "", fmt.Errorf("the name %q is not a DNS label", name)
	}
	if version, err = strMember(o, "version"); err == nil && !isVersion(version) {
		err = fmt.Errorf("the version %q is not as it must be", version)
	}
	return
}

var (
	labelRE   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	versionRE = regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)` +
		`(-(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*)?$`)
)

// isLabel tells whether s is a DNS label (§4).
func isLabel(s string) bool {
	return len(s) <= 63 && labelRE.MatchString(s)
}

// isVersion tells whether s is a version (§4). The three numbers of the core
// are numeric identifiers too, as in SemVer's grammar.
func isVersion(s string) bool {
	if len(s) > 64 || !versionRE.MatchString(s) {
		return false
	}
	core, pre, _ := strings.Cut(s, "-")
	for _, id := range append(strings.Split(core, "."), strings.Split(pre, ".")...) {
		if len(id) > 16 && strings.Trim(id, "0123456789") == "" {
			return false
		}
	}
	return true
}
