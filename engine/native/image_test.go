package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nacre"
	"nacre/compile"
	"nacre/sandbox/blueprint"
)

// folderImage is an image that is a folder already.
type folderImage string

func (f folderImage) Prepare(context.Context, nacre.Image) (string, io.Closer, error) {
	return string(f), io.NopCloser(nil), nil
}

// imageFolder makes a small root file system with a static program and,
// where asked, hostile links in the places where mounts go.
func imageFolder(t *testing.T, links map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	for _, d := range []string{"bin", "etc", "var"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	source := filepath.Join(t.TempDir(), "main.go")
	program := `package main
import ("fmt";"os")
func main() {
	for _, p := range os.Args[1:] {
		if b, err := os.ReadFile(p); err == nil { fmt.Printf("%s: %s", p, b) } else { fmt.Println(err) }
		if err := os.WriteFile(p+".new", nil, 0o644); err == nil { fmt.Println("wrote", p) }
	}
}`
	if err := os.WriteFile(source, []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "bin/show"), source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("needs the go command: %v %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc/release"), []byte("an image\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for link, target := range links {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func imagePlan(t *testing.T, command ...string) nacre.Plan {
	t.Helper()
	p := planOf(t, command...)
	p.Image = nacre.Image{Kind: nacre.ImageDirectory, Reference: "/image"}
	p.Digest = compile.Digest(p)
	return p
}

// TestImage runs from an image: its files are there, /etc is ours where it
// identifies, what is written stays in the sandbox.
func TestImage(t *testing.T) {
	dir := imageFolder(t, nil)
	e, _ := newEngine(t)
	e.Images = folderImage(dir).Prepare
	var out buffer
	box, err := e.Start(context.Background(), imagePlan(t, "/bin/show", "/etc/release", "/etc/hostname", "/usr/bin/env"), nacre.Streams{Out: &out, Err: &out})
	if err != nil {
		t.Fatal(err)
	}
	if exit, err := box.Wait(); err != nil || exit.Code != 0 {
		t.Errorf("%+v, %v", exit, err)
	}
	for _, want := range []string{"/etc/release: an image\n", "wrote /etc/release", "/etc/hostname: box\n", "open /usr/bin/env: no such file"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, &out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "etc/release.new")); err == nil {
		t.Error("a write reached the image")
	}
}

// TestHostileImage: links in an image must not move what is mounted.
func TestHostileImage(t *testing.T) {
	for link, target := range map[string]string{"proc": "/etc", "dev": "/tmp", "home": "/etc", "tmp": "../../../../etc", "run": "/proc"} {
		e, _ := newEngine(t)
		e.Images = folderImage(imageFolder(t, map[string]string{link: target})).Prepare
		box, err := e.Start(context.Background(), imagePlan(t, "/bin/show"), nacre.Streams{})
		if err == nil {
			_, _ = box.Wait()
			t.Errorf("/%s → %s was followed", link, target)
		}
	}
}

// TestImageReachesDescriptors: links in an image must not lead what init makes
// there through its own descriptors, of which some are folders of the host's.
func TestImageReachesDescriptors(t *testing.T) {
	for _, at := range []string{"etc", "var", "home", "work"} {
		for fd := blueprint.FirstFD; fd < blueprint.FirstFD+2; fd++ { // the image, and the folder
			dir, granted := imageFolder(t, nil), filepath.Join(t.TempDir(), "granted")
			if err := errors.Join(os.RemoveAll(filepath.Join(dir, at)), os.Symlink(fmt.Sprintf("/proc/self/fd/%d", fd), filepath.Join(dir, at)),
				os.Mkdir(granted, 0o755), os.WriteFile(filepath.Join(granted, "passwd"), []byte("the owner's"), 0o644)); err != nil {
				t.Fatal(err)
			}
			before := listing(t, dir, granted)
			e, _ := newEngine(t)
			e.Images = folderImage(dir).Prepare
			p := imagePlan(t, "/bin/show")
			p.Files = []nacre.FileGrant{{Host: granted, Inside: "/work/project"}}
			if box, err := e.Start(context.Background(), p, nacre.Streams{}); err == nil {
				_, _ = box.Wait()
				t.Errorf("/%s → descriptor %d was followed", at, fd)
			}
			if after := listing(t, dir, granted); after != before {
				t.Errorf("/%s → descriptor %d: the host's folders were\n%s\nand are\n%s", at, fd, before, after)
			}
		}
	}
}

// listing is what is in some folders, with the sizes.
func listing(t *testing.T, dirs ...string) (list string) {
	t.Helper()
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			list += fmt.Sprintf("%s/%s %d; ", filepath.Base(dir), e.Name(), info.Size())
		}
	}
	return list
}
