package packaging

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nacre/test/programs"
)

// What the test's releases are called.
const (
	version = "v1.2.3-4-gabcdef0"
	debian  = "1.2.3+4.gabcdef0"
)

// build makes a release of a copy of a tree at a place, and returns its dist. The
// copy's files are of another day.
func build(t *testing.T, tree, place, day, mask string, env ...string) string {
	t.Helper()
	if err := os.MkdirAll(place, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, nil, "sh", "-c", `umask "$3" && tar --exclude=./.git --exclude=./bin --exclude=./dist --exclude=./.cache -C "$4" -cf - . | tar -C "$1" -xf - &&
		find "$1" -exec touch -h -d "$2" {} +`, "sh", place, day, mask, tree)
	env = append(env, "SOURCE_DATE_EPOCH=1700000000", "VERSION="+version)
	command(t, env, "sh", "-c", `umask "$2" && make -C "$1" release`, "sh", place, mask)
	return filepath.Join(place, "dist")
}

// TestReleaseIsReproducible: the same tree, built in two folders, on files of
// two days, by users of two habits, with and without what was compiled before, is
// the same release, byte for byte. Then the release is looked at.
func TestReleaseIsReproducible(t *testing.T) {
	if os.Getenv("NACRE_RELEASE") == "" {
		t.Skip("needs NACRE_RELEASE=1: it builds everything twice (make test-release)")
	}
	programs.Needs(t, "go", "make", "tar", "xz", "dpkg-deb")
	home := programs.Home(t)
	one := build(t, ".", filepath.Join(home, "one"), "2001-02-03", "022", "TZ=UTC")
	// Of the copy: somebody may be at work on the tree itself.
	two := build(t, filepath.Dir(one), filepath.Join(home, "somewhere/deeper/two"), "2020-12-24", "077", "TZ=Asia/Tokyo", "GOCACHE="+t.TempDir())
	sums, err := os.ReadFile(filepath.Join(one, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(sums, []byte("\n")); n != 6 {
		t.Errorf("expected 6 files:\n%s", sums)
	}
	t.Logf("\n%s", sums)
	for line := range strings.Lines(string(sums) + "- SHA256SUMS\n") {
		name := strings.Fields(line)[1]
		a, err := os.ReadFile(filepath.Join(one, name))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(two, name)); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: %d bytes, and %d bytes that differ (%v)", name, len(a), len(b), err)
		}
	}
	command(t, nil, "sh", "-c", `cd "$1" && sha256sum -c SHA256SUMS`, "sh", one)
	t.Run("architectures", func(t *testing.T) { architectures(t, one) })
	t.Run("archive", func(t *testing.T) { archive(t, one) })
	t.Run("bills", func(t *testing.T) { bills(t, one) })
	t.Run("package", func(t *testing.T) { debianPackage(t, one) })
	t.Run("lintian", func(t *testing.T) { lintian(t, one) })
	t.Run("pages", func(t *testing.T) { pages(t, one) })
	t.Run("installed", func(t *testing.T) { installed(t, filepath.Dir(one)) })
}

// architectures: each archive's programs are static, and for their processor.
func architectures(t *testing.T, dist string) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		dir := t.TempDir()
		command(t, nil, "tar", "-C", dir, "--strip-components=1", "-xzf", filepath.Join(dist, "nacre-"+version+"-linux-"+arch+".tar.gz"))
		for _, name := range []string{"bin/nacre", "libexec/nacre/nacre-init", "libexec/nacre/nacre-attack", "libexec/nacre/nacre-assistant"} {
			f, err := elf.Open(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if libraries, _ := f.ImportedLibraries(); f.Machine != machine || len(libraries) > 0 {
				t.Errorf("%s %s: %v, needs %q", arch, name, f.Machine, libraries)
			}
			f.Close()
		}
	}
}

// archive: unpacked into ~/.local as docs/INSTALL.md says, it works.
func archive(t *testing.T, dist string) {
	prefix := filepath.Join(programs.Home(t), ".local")
	if err := os.MkdirAll(prefix, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dist, "nacre-"+version+"-linux-amd64.tar.gz")
	command(t, nil, "sh", "-c", `tar -C "$1" --strip-components=1 --wildcards -xzf "$2" '*/bin' '*/libexec' '*/share'`, "sh", prefix, file)
	works(t, prefix)
	command(t, nil, "scripts/install", "-r", prefix)
	for _, name := range listing(t, prefix) {
		if st, err := os.Lstat(filepath.Join(prefix, name)); err != nil || !st.IsDir() {
			t.Errorf("%s is left", name)
		}
	}
	for line := range strings.Lines(command(t, nil, "tar", "--numeric-owner", "-tvzf", file)) {
		if !strings.Contains(line, " 0/0 ") || !strings.Contains(line, " 2023-11-14 ") {
			t.Error(line)
		}
	}
}

// bills: those of the release obey the schema too.
func bills(t *testing.T, dist string) {
	for _, arch := range []string{"amd64", "arm64"} {
		text, err := os.ReadFile(filepath.Join(dist, "nacre-"+version+"-linux-"+arch+".cdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"nacre-init"`, `"nacre-attack"`, `"nacre-assistant"`, "pkg:golang/golang.org/x/sys@", "pkg:golang/std@"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: nothing says %s", arch, want)
			}
		}
		for _, tool := range []string{"blackfriday", "cyclonedx-go", "go-md2man"} {
			if strings.Contains(string(text), tool) {
				t.Errorf("%s: %s is linked in", arch, tool)
			}
		}
		command(t, []string{"SBOM_BILL=" + filepath.Join(dist, "nacre-"+version+"-linux-"+arch+".cdx.json")}, "go", "test", "-C", "packaging/sbom", "-count=1", ".")
	}
}

// lintian finds nothing, but that the address of the maintainer is none.
func lintian(t *testing.T, dist string) {
	programs.Needs(t, "lintian")
	// The other architecture's differs only in its programs.
	out, err := exec.Command("lintian", "--no-cfg", "--allow-root", "--fail-on", "error,warning",
		"--suppress-tags", "bogus-mail-host,bogus-mail-host-in-debian-changelog", filepath.Join(dist, "nacre_"+debian+"_amd64.deb")).CombinedOutput()
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// pages: manual pages and completions are what their readers can read.
func pages(t *testing.T, dist string) {
	share := filepath.Join(dist, "amd64/share")
	for name, check := range map[string]string{
		"mandoc": `for f in man/man*/*.gz; do gzip -dc "$f" | mandoc -T lint -W error || echo "$f"; done`,
		"bash":   "bash -n bash-completion/completions/nacre", "zsh": "zsh -n zsh/site-functions/_nacre", "fish": "fish -n fish/vendor_completions.d/nacre.fish",
	} {
		t.Run(name, func(t *testing.T) {
			programs.Needs(t, name)
			if out := command(t, nil, "sh", "-c", `cd "$1" && `+check, "sh", share); out != "" {
				t.Error(out)
			}
		})
	}
}

// installed: make install and make uninstall, as a packager and as a user call them.
func installed(t *testing.T, tree string) {
	root := programs.Home(t)
	env := []string{"SOURCE_DATE_EPOCH=1700000000", "VERSION=" + version}
	command(t, env, "make", "-C", tree, "install", "DESTDIR="+root, "PREFIX=/opt/nacre")
	works(t, filepath.Join(root, "opt/nacre"))
	command(t, env, "make", "-C", tree, "uninstall", "DESTDIR="+root, "PREFIX=/opt/nacre")
	if left := listing(t, root); strings.Join(left, " ") != ". opt opt/nacre" {
		t.Errorf("left: %q", left)
	}
}
