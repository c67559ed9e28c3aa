package main

import (
	"errors"
	"fmt"
	"strings"
)

// lockFile is a file of a model or a file set (§10).
type lockFile struct {
	path   string
	size   int64
	digest string
}

// lockImage is an element of the lock's images (§10).
type lockImage struct {
	entry, digest string
	size          int64
}

// lock is what a reader uses of lock.json (§10).
type lock struct {
	models, files map[string][]lockFile
	images        []lockImage
}

// parseLock reads lock.json (§10).
func parseLock(b []byte) (*lock, error) {
	if len(b) > maxLock {
		return nil, badf("lock.json has more than 16 MiB")
	}
	o, err := parseObject(b)
	if err != nil {
		return nil, err
	}
	l := &lock{}
	if l.models, err = fileLists(o, "models"); err != nil {
		return nil, err
	}
	if l.files, err = fileLists(o, "files"); err != nil {
		return nil, err
	}
	arr, err := arrMember(o, "images")
	if err != nil {
		return nil, err
	}
	for i, v := range arr {
		im, err := parseImage(v)
		if err != nil {
			return nil, fmt.Errorf("images[%d]: %w", i, err)
		}
		l.images = append(l.images, im)
	}
	return l, nil
}

// parseImage reads an element of images (§10).
func parseImage(v any) (im lockImage, err error) {
	o, ok := v.(object)
	if !ok {
		return im, errors.New("not an object")
	}
	if im.entry, err = strMember(o, "entry"); err != nil {
		return im, err
	}
	if im.digest, err = digestMember(o, "digest"); err != nil {
		return im, err
	}
	im.size, err = intMember(o, "size", 0, maxInt)
	return im, err
}

// fileLists reads models or files: names, each once, with their files (§10).
func fileLists(o object, member string) (map[string][]lockFile, error) {
	arr, err := arrMember(o, member)
	if err != nil {
		return nil, err
	}
	out := map[string][]lockFile{}
	for i, v := range arr {
		m, ok := v.(object)
		if !ok {
			return nil, fmt.Errorf("%s[%d] is not an object", member, i)
		}
		name, err := strMember(m, "name")
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", member, i, err)
		}
		if _, dup := out[name]; dup {
			return nil, fmt.Errorf("%s: %q stands twice", member, name)
		}
		if out[name], err = fileList(m); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", member, name, err)
		}
	}
	return out, nil
}

// fileList reads the files of one model or file set (§8 "A path", §10).
func fileList(m object) ([]lockFile, error) {
	arr, err := arrMember(m, "files")
	if err != nil {
		return nil, err
	}
	if len(arr) == 0 {
		return nil, errors.New("no files")
	}
	var out []lockFile
	paths := map[string]bool{}
	for i, v := range arr {
		o, ok := v.(object)
		if !ok {
			return nil, errors.New("a file is not an object")
		}
		var f lockFile
		if f.path, err = strMember(o, "path"); err != nil {
			return nil, err
		}
		if err := checkPath(f.path); err != nil {
			return nil, fmt.Errorf("path %q: %w", f.path, err)
		}
		if f.size, err = intMember(o, "size", 0, maxInt); err != nil {
			return nil, err
		}
		if f.digest, err = digestMember(o, "digest"); err != nil {
			return nil, err
		}
		if i > 0 && f.path <= out[i-1].path {
			return nil, fmt.Errorf("path %q is not sorted, or stands twice", f.path)
		}
		paths[f.path] = true
		out = append(out, f)
	}
	return out, folders(out, paths)
}

// folders refuses a path that is a folder of another (§8).
func folders(files []lockFile, paths map[string]bool) error {
	for _, f := range files {
		for i, c := range []byte(f.path) {
			if c == '/' && paths[f.path[:i]] {
				return fmt.Errorf("path %q is a folder of %q", f.path[:i], f.path)
			}
		}
	}
	return nil
}

// checkPath holds a path to §8; §12 excuses from the check of NFC.
func checkPath(p string) error {
	if len(p) > 1024 {
		return errors.New("longer than 1024 bytes")
	}
	for i := 0; i < len(p); i++ {
		if c := p[i]; c < 0x20 || c == 0x7f || c == '\\' || c == ':' {
			return errors.New("a forbidden character")
		}
	}
	for _, s := range strings.Split(p, "/") {
		if s == "" || s == "." || s == ".." || strings.HasPrefix(s, ".wh.") {
			return errors.New("a forbidden segment")
		}
	}
	return nil
}

// checkImages holds the lock's images against the entries (§10).
func (l *lock) checkImages(es []*entry) error {
	images := byGroup(es, groupImage)
	seen := map[string]bool{}
	for _, im := range l.images {
		e := images[im.entry]
		if e == nil {
			return badf("lock: %q is no image of the bundle", im.entry)
		}
		if e.digest != im.digest || e.size != im.size {
			return badf("lock: %q has another digest or size", im.entry)
		}
		seen[im.entry] = true
	}
	if len(seen) != len(images) {
		return badf("lock: an image of the bundle is not in it")
	}
	return nil
}

// sameNames checks that a lock's list names exactly the entries of a group.
func sameNames(list map[string][]lockFile, es map[string]*entry, what string) error {
	for n := range list {
		if es[n] == nil {
			return badf("lock: %s/%s is no entry of the bundle", what, n)
		}
	}
	if len(list) != len(es) {
		return badf("lock: an entry %s/... is not in it", what)
	}
	return nil
}
