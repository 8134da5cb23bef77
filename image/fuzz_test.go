package image

import (
	"archive/tar"
	"bytes"
	"os"
	"strings"
	"testing"
)

// scriptLayers makes layers of a text: a line is an entry (type, name, link,
// body, separated by "|"), a line "--" begins the next layer. What cannot be
// written as a tar is left out; the mode is the line's number, scrambled.
func scriptLayers(script string) [][]byte {
	var layers [][]byte
	for part := range strings.SplitSeq(script, "\n--\n") {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for i, line := range strings.Split(part, "\n") {
			f := append(strings.SplitN(line, "|", 4), "", "", "", "")
			h := &tar.Header{Typeflag: tar.TypeReg, Name: f[1], Linkname: f[2], Mode: int64(i * 0o1357 & 0o7777)}
			if f[0] != "" {
				h.Typeflag = f[0][0]
			}
			if h.Typeflag == tar.TypeReg {
				h.Size = int64(len(f[3]))
			}
			if w.WriteHeader(h) == nil && h.Size > 0 {
				w.Write([]byte(f[3]))
			}
		}
		w.Close()
		layers = append(layers, out.Bytes())
	}
	return layers
}

// FuzzEntries: whatever the entries are, the folder beside stays as it was and
// what was unpacked is tame and can be removed.
func FuzzEntries(f *testing.F) {
	f.Add("0|a/b||x\n2|l|..\n0|l/canary||y\n1|h|a/b\n--\n0|a/.wh..wh..opq\n0|.wh.l\n3|dev/null")
	f.Fuzz(func(t *testing.T, script string) {
		if len(script) > 4096 {
			return
		}
		root, outside := target(t)
		applyTo(t, root, Options{MaxBytes: 1 << 20, MaxEntries: 200, MaxPath: 300}, scriptLayers(script)...)
		wantContained(t, root, outside)
		if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	})
}

// FuzzStream: bytes that need not even be a tar.
func FuzzStream(f *testing.F) {
	raw := tarOf(f, file("a/b", "x"), link("l", ".."), hard("h", "a/b"))
	f.Add(raw)
	f.Add(gzipped(f, raw))
	f.Add(sparseHeader(f, 1<<40))
	f.Fuzz(func(t *testing.T, stream []byte) {
		root, outside := target(t)
		applyTo(t, root, Options{MaxBytes: 1 << 20, MaxEntries: 100, MaxPath: 200}, stream)
		wantContained(t, root, outside)
	})
}
