package main

import (
	"errors"
	"fmt"
	"strings"
)

const (
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"

	titleKey   = "org.opencontainers.image.title"
	refNameKey = "org.opencontainers.image.ref.name"
)

func isIndex(mt string) bool    { return mt == ociIndex || mt == dockerList }
func isManifest(mt string) bool { return mt == ociManifest || mt == dockerManifest }

// isForeign tells whether a media type is foreign (§5).
func isForeign(mt string) bool {
	return strings.Contains(mt, "nondistributable") || strings.Contains(mt, ".foreign.")
}

// descriptor is what names a blob (§5).
type descriptor struct {
	mediaType    string
	digest       string
	size         int64
	annotations  map[string]string
	artifactType *string
	hasPlatform  bool
}

// node is a parsed index or manifest (§5).
type node struct {
	desc         descriptor
	hasMediaType bool
	artifactType *string
	manifests    []descriptor // of an index
	config       descriptor   // of a manifest
	layers       []descriptor
}

// knownNames are the keys that must not be disguised by folding (§3).
var knownNames = func() map[string]string {
	m := map[string]string{}
	for _, n := range []string{"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests",
		"subject", "annotations", "digest", "size", "urls", "data", "platform"} {
		m[fold(n)] = n
	}
	return m
}()

// checkKeys refuses keys that fold to a known name without being it (§3).
func checkKeys(o object) error {
	for k := range o {
		if n, ok := knownNames[fold(k)]; ok && n != k {
			return fmt.Errorf("the key %q folds to %q", k, n)
		}
	}
	return nil
}

// optionalString returns a member that may be absent.
func optionalString(o object, name string) (*string, error) {
	if _, ok := o[name]; !ok {
		return nil, nil
	}
	s, err := strMember(o, name)
	return &s, err
}

// parseDescriptor reads a descriptor (§5).
func parseDescriptor(v any) (descriptor, error) {
	var d descriptor
	o, ok := v.(object)
	if !ok {
		return d, errors.New("a descriptor is not an object")
	}
	err := checkKeys(o)
	if err != nil {
		return d, err
	}
	for _, k := range []string{"urls", "data"} {
		if _, ok := o[k]; ok {
			return d, fmt.Errorf("a descriptor has %q", k)
		}
	}
	if d.mediaType, err = strMember(o, "mediaType"); err != nil {
		return d, err
	}
	if d.digest, err = digestMember(o, "digest"); err != nil {
		return d, err
	}
	if d.size, err = intMember(o, "size", 0, maxInt); err != nil {
		return d, err
	}
	if d.artifactType, err = optionalString(o, "artifactType"); err != nil {
		return d, err
	}
	if _, ok := o["annotations"]; ok {
		a, err := objMember(o, "annotations")
		if err != nil {
			return d, err
		}
		if d.annotations, err = stringsOf(a); err != nil {
			return d, fmt.Errorf("annotations: %w", err)
		}
	}
	if _, ok := o["platform"]; ok {
		d.hasPlatform = true
		_, err = objMember(o, "platform")
	}
	return d, err
}

// descriptors reads a member that is an array of descriptors.
func descriptors(o object, name string) ([]descriptor, error) {
	arr, err := arrMember(o, name)
	if err != nil {
		return nil, err
	}
	out := make([]descriptor, 0, len(arr))
	for i, v := range arr {
		d, err := parseDescriptor(v)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", name, i, err)
		}
		out = append(out, d)
	}
	return out, nil
}

// parseNode reads the blob of an index or manifest that d describes (§5).
func parseNode(b []byte, d descriptor) (*node, error) {
	o, err := parseObject(b)
	if err != nil {
		return nil, err
	}
	if err := checkKeys(o); err != nil {
		return nil, err
	}
	if _, err := intMember(o, "schemaVersion", 2, 2); err != nil {
		return nil, err
	}
	n := &node{desc: d}
	if n.artifactType, err = optionalString(o, "artifactType"); err != nil {
		return nil, err
	}
	if err := n.mediaType(o); err != nil {
		return nil, err
	}
	if isIndex(d.mediaType) {
		return n, n.index(o)
	}
	return n, n.manifest(o)
}

// mediaType checks the mediaType inside of an index or manifest (§5).
func (n *node) mediaType(o object) error {
	v, ok := o["mediaType"]
	n.hasMediaType = ok
	if !ok {
		if strings.HasPrefix(n.desc.mediaType, "application/vnd.oci.") {
			return nil
		}
		return errors.New("no mediaType")
	}
	if v != n.desc.mediaType {
		return errors.New("mediaType is not that of the descriptor")
	}
	return nil
}

// index reads the members of an index (§5).
func (n *node) index(o object) (err error) {
	for _, k := range []string{"layers", "config"} {
		if _, ok := o[k]; ok {
			return fmt.Errorf("an index with %q", k)
		}
	}
	if n.manifests, err = descriptors(o, "manifests"); err != nil {
		return err
	}
	for i, d := range n.manifests {
		if !isIndex(d.mediaType) && !isManifest(d.mediaType) {
			return fmt.Errorf("manifests[%d] has the media type %q", i, d.mediaType)
		}
	}
	return nil
}

// manifest reads the members of a manifest (§5).
func (n *node) manifest(o object) (err error) {
	if _, ok := o["manifests"]; ok {
		return errors.New(`a manifest with "manifests"`)
	}
	if n.config, err = parseDescriptor(o["config"]); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if n.layers, err = descriptors(o, "layers"); err != nil {
		return err
	}
	for _, d := range append([]descriptor{n.config}, n.layers...) {
		if isIndex(d.mediaType) || isManifest(d.mediaType) || isForeign(d.mediaType) {
			return fmt.Errorf("a config or layer of media type %q", d.mediaType)
		}
	}
	return nil
}
