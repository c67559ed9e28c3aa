package main

import (
	"strings"
)

const (
	maxName   = 512
	nameChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/@:"

	bundleType = "application/vnd.airbundle.bundle.v1+json"
	packType   = "application/vnd.cncf.model.manifest.v1+json"
	filesType  = "application/vnd.airbundle.files.v1"
)

// The groups of entries, in their order (§6).
const (
	groupBundle = iota
	groupImage
	groupModel
	groupPack
	groupFiles
)

// entry is a descriptor of index.json (§6).
type entry struct {
	descriptor
	name  string // the whole of it
	label string // <name>, of the groups 3 to 5
	group int
}

// classify finds the group of a name, and checks its form (§6).
func classify(e *entry) error {
	if len(e.name) < 1 || len(e.name) > maxName || hasOther(e.name) {
		return badf("an entry's name has other characters or is too long: %.80q", e.name)
	}
	if e.name == "bundle" {
		e.group = groupBundle
		return nil
	}
	host, rest, slash := strings.Cut(e.name, "/")
	groups := map[string]int{"models": groupModel, "modelpacks": groupPack, "files": groupFiles}
	if g, ok := groups[host]; ok && slash {
		e.group, e.label = g, rest
		if !isLabel(rest) {
			return badf("entry %q: the name is not a DNS label", e.name)
		}
		return nil
	}
	e.group = groupImage
	repository, ok := strings.CutSuffix(rest, "@"+e.digest)
	if _, reserved := groups[host]; reserved || !slash || !ok || host == "" || repository == "" ||
		strings.Contains(host, ":") {
		return badf("entry %q: not <host>/<repository>@<its digest>", e.name)
	}
	return nil
}

// hasOther says whether s has a character that no name has (§6).
func hasOther(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(nameChars, r) })
}

// typed checks an entry's media type and artifactType (§6).
func (e *entry) typed() error {
	want := map[int]string{groupBundle: bundleType, groupPack: packType, groupFiles: filesType}[e.group]
	if want == "" && e.artifactType != nil {
		return badf("entry %q: it has an artifactType", e.name)
	}
	if want != "" && (e.artifactType == nil || *e.artifactType != want) {
		return badf("entry %q: its artifactType is not %s", e.name, want)
	}
	ok := e.mediaType == ociManifest
	switch e.group {
	case groupImage:
		ok = isIndex(e.mediaType) || isManifest(e.mediaType)
	case groupModel:
		ok = ok || e.mediaType == ociIndex
	}
	if !ok {
		return badf("entry %q: it has the media type %q", e.name, e.mediaType)
	}
	return nil
}

// entries reads index.json's descriptors as entries (§6).
func entries(ds []descriptor) ([]*entry, error) {
	var out []*entry
	for i, d := range ds {
		name, ok := d.annotations[refNameKey]
		if !ok {
			return nil, badf("manifests[%d] has no name", i)
		}
		e := &entry{descriptor: d, name: name}
		if err := classify(e); err != nil {
			return nil, err
		}
		if err := e.typed(); err != nil {
			return nil, err
		}
		if i > 0 {
			last := out[i-1]
			if e.group < last.group || e.group == last.group && e.name <= last.name {
				return nil, badf("entry %q is not in its place after %q", e.name, last.name)
			}
		}
		out = append(out, e)
	}
	if len(out) == 0 || out[0].group != groupBundle {
		return nil, badf("the first entry is not bundle")
	}
	return out, pairs(out)
}

// byGroup maps the labels (of images: the names) of one group to its entries.
func byGroup(es []*entry, group int) map[string]*entry {
	m := map[string]*entry{}
	for _, e := range es {
		if e.group == group && group == groupImage {
			m[e.name] = e
		} else if e.group == group {
			m[e.label] = e
		}
	}
	return m
}

// pairs checks that models and modelpacks belong together (§6).
func pairs(es []*entry) error {
	models, packs := byGroup(es, groupModel), byGroup(es, groupPack)
	for l := range models {
		if packs[l] == nil {
			return badf("models/%s without modelpacks/%s", l, l)
		}
	}
	for l := range packs {
		if models[l] == nil {
			return badf("modelpacks/%s without models/%s", l, l)
		}
	}
	return nil
}
