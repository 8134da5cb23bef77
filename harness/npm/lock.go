// Package npm reads the lock file of a harness skill, and fetches what it lists:
// packages of exactly the contents that the lock file has hashes of. Nothing that
// a package brings is run here; what scripts made elsewhere is taken in strictly.
package npm

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"nacre/fault"
	"nacre/pattern"
	"nacre/strictjson"
)

// Package is one package of a lock file.
type Package struct {
	Place   string // below the layer's folder, such as node_modules/@scope/name
	Name    string
	Version string
	SHA512  []byte // of the archive
}

// Machine is what packages are chosen for, in npm's words.
type Machine struct{ OS, CPU, Libc string }

// For is the machine of a Go architecture, with the C library of most.
func For(arch string) Machine {
	cpu := map[string]string{"amd64": "x64", "arm64": "arm64"}[arch]
	return Machine{OS: "linux", CPU: cpu, Libc: "glibc"}
}

const (
	maxLock     = 4 << 20
	maxPackages = 5000
)

var (
	nameForm    = pattern.Of(`^(@[a-z0-9~-][a-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*$`)
	versionForm = pattern.Of(`^[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.-]*$`)
)

// Parse reads a package-lock.json of version 3, and returns those of its packages
// that a machine needs. Every one of them has a hash, or nothing is returned.
func Parse(file string, data []byte, on Machine) ([]Package, error) {
	if len(data) > maxLock {
		return nil, fault.New(fault.Invalid, "%s: the file is larger than 4 MiB", file)
	}
	v, err := strictjson.Parse(data, true)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s", file)
	}
	top, _ := v.(map[string]any)
	entries, ok := top["packages"].(map[string]any)
	if !ok || fmt.Sprint(top["lockfileVersion"]) != "3" || len(entries) > maxPackages {
		return nil, fault.New(fault.Invalid, "%s: expected a package-lock.json of version 3, of at most %d packages", file, maxPackages).
			WithHint("npm install --package-lock-only --lockfile-version 3 writes one")
	}
	var list []Package
	for _, place := range slices.Sorted(maps.Keys(entries)) {
		entry, ok := entries[place].(map[string]any)
		if !ok {
			return nil, fault.New(fault.Invalid, "%s: %q is not a package", file, place)
		}
		if place == "" || entry["inBundle"] == true { // itself; what comes within another
			continue
		}
		if !fits(entry, on) {
			if entry["optional"] == true {
				continue
			}
			return nil, fault.New(fault.Invalid, "%s: %s is not for this machine (%s, %s)", file, place, on.OS, on.CPU)
		}
		p, err := read(place, entry)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "%s: %s", file, place)
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, fault.New(fault.Invalid, "%s: it lists no packages for this machine", file)
	}
	return list, nil
}

// read reads one package.
func read(place string, entry map[string]any) (p Package, err error) {
	_, name, _ := cutLast(place, "node_modules/")
	p.Place, p.Name = place, name
	if alias, ok := entry["name"].(string); ok {
		p.Name = alias
	}
	p.Version, _ = entry["version"].(string)
	for _, part := range strings.Split(place, "node_modules/")[1:] {
		if !nameForm().MatchString(strings.TrimSuffix(part, "/")) {
			return p, fmt.Errorf("expected a package below node_modules")
		}
	}
	version, _, _ := strings.Cut(p.Version, "+")
	switch {
	case !strings.HasPrefix(place, "node_modules/") || !fs.ValidPath(place) || !nameForm().MatchString(p.Name):
		return p, fmt.Errorf("expected a package below node_modules")
	case entry["link"] != nil:
		return p, fmt.Errorf("it is a link, and has no hash")
	case !versionForm().MatchString(version):
		return p, fmt.Errorf("expected a version, found %.40q", p.Version)
	}
	p.Version = version
	p.SHA512, err = integrity(entry["integrity"])
	return p, err
}

// integrity is the SHA-512 of a package's archive.
func integrity(written any) ([]byte, error) {
	text, _ := written.(string)
	for _, one := range strings.Fields(text) {
		if sum, ok := strings.CutPrefix(one, "sha512-"); ok {
			b, err := base64.StdEncoding.DecodeString(sum)
			if err != nil || len(b) != 64 {
				return nil, fmt.Errorf("its integrity is not a SHA-512")
			}
			return b, nil
		}
	}
	return nil, fmt.Errorf("it has no integrity by SHA-512")
}

// fits tells whether a package is for a machine.
func fits(entry map[string]any, on Machine) bool {
	for key, is := range map[string]string{"os": on.OS, "cpu": on.CPU, "libc": on.Libc} {
		var names []string
		switch v := entry[key].(type) {
		case string:
			names = []string{v}
		case []any:
			for _, one := range v {
				names = append(names, fmt.Sprint(one))
			}
		}
		wanted := slices.ContainsFunc(names, func(s string) bool { return !strings.HasPrefix(s, "!") })
		if slices.Contains(names, "!"+is) || wanted && !slices.Contains(names, is) {
			return false
		}
	}
	return true
}

// Address is the digest of what a layer of these packages holds: the same
// packages always have the same. Where scripts of some are run, it is that of
// whose, too, and of the layers that they find.
func Address(list, scripted []Package, beside []string) string {
	h := sha256.New()
	fmt.Fprintln(h, "npm layer 1") // of this way to unpack
	for _, p := range list {
		fmt.Fprintf(h, "%q %q %q %x\n", p.Place, p.Name, p.Version, p.SHA512)
	}
	for _, p := range scripted {
		fmt.Fprintf(h, "scripts %q beside %q\n", p.Place, beside)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// path is where a registry has a package's archive.
func (p Package) path() string {
	return "/" + p.Name + "/-/" + path.Base(p.Name) + "-" + p.Version + ".tgz"
}

// cutLast cuts around the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
