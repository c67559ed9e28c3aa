package main

import "strings"

const (
	lockTitle  = "lock.json"
	configType = "application/vnd.airbundle.bundle.config.v1+json"
)

// layerType returns the media type that §7 gives to a title, if it does.
func layerType(title string) (string, bool) {
	switch {
	case title == lockTitle:
		return "application/vnd.airbundle.lock.v1+json", true
	case title == "sources.tar":
		return "application/vnd.airbundle.sources.v1.tar", true
	case title == "report.json":
		return "application/vnd.airbundle.report.v1+json", true
	case title == "bom.cdx.json":
		return "application/vnd.cyclonedx+json", true
	case strings.HasPrefix(title, "targets/") && strings.HasSuffix(title, ".json"):
		return "application/vnd.airbundle.manifests.v1+json", true
	case strings.HasPrefix(title, "model-signing/") && strings.HasSuffix(title, ".json"):
		return "application/vnd.in-toto+json", true
	}
	return "", false
}

// checkOwn checks the bundle's own manifest and config, and returns the
// descriptor of the lock (§7).
func (w *walker) checkOwn(e *entry, st *statement) (lock descriptor, err error) {
	n := w.blobs[e.digest].node
	if n.artifactType == nil || *n.artifactType != bundleType {
		return lock, badf("the bundle's manifest lacks its artifactType")
	}
	if n.config.mediaType != configType {
		return lock, badf("the bundle's config has the media type %q", n.config.mediaType)
	}
	if err := checkConfig(w.blobs[n.config.digest].data, st); err != nil {
		return lock, badf("the bundle's config: %v", err)
	}
	titles := map[string]bool{}
	for i, l := range n.layers {
		title, ok := l.annotations[titleKey]
		if !ok {
			return lock, badf("the bundle's layer %d has no title", i)
		}
		if titles[title] {
			return lock, badf("two of the bundle's layers have the title %q", title)
		}
		titles[title] = true
		if mt, ok := layerType(title); ok && mt != l.mediaType {
			return lock, badf("the bundle's layer %q has the media type %q", title, l.mediaType)
		}
		if title == lockTitle {
			lock = l
		}
	}
	if !titles[lockTitle] {
		return lock, badf("the bundle has no lock.json")
	}
	return lock, nil
}

// checkConfig checks the bundle's config, against the statement if there is
// one (§7, §11.6).
func checkConfig(b []byte, st *statement) error {
	if len(b) > maxNode {
		return badf("it has more than 4 MiB")
	}
	o, err := parseObject(b)
	if err != nil {
		return err
	}
	if err := exactly(o, "formatVersion", "name", "version", "targets", "parameters", "imageMap", "tools"); err != nil {
		return err
	}
	name, version, err := release(o)
	if err != nil {
		return err
	}
	if st != nil && (name != st.name || version != st.version) {
		return badf("name or version is not that of the statement")
	}
	for _, k := range []string{"targets", "parameters", "imageMap"} {
		arr, err := arrMember(o, k)
		if err != nil {
			return err
		}
		for _, v := range arr {
			_, isStr := v.(string)
			_, isObj := v.(object)
			if (k == "targets" && !isStr) || (k != "targets" && !isObj) {
				return badf("%q holds a value of another kind", k)
			}
		}
	}
	tools, err := objMember(o, "tools")
	if err != nil {
		return err
	}
	_, err = stringsOf(tools)
	return err
}
