package machine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// initramfs is the archive that the kernel starts from: the guest program as
// /init and the drivers, in cpio's "newc" format.
func initramfs(guest, modules string) ([]byte, error) {
	var buf bytes.Buffer
	init, err := os.ReadFile(guest)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(modules + "/*.ko")
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	addEntry(&buf, "init", 0o100755, init)
	addEntry(&buf, "modules", 0o040755, nil)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		addEntry(&buf, "modules/"+filepath.Base(f), 0o100644, b)
	}
	addEntry(&buf, "TRAILER!!!", 0, nil)
	return buf.Bytes(), nil
}

// addEntry appends one file. Its fields are the magic, then inode, mode, uid,
// gid, links, time, size, four device numbers, length of name, checksum.
func addEntry(buf *bytes.Buffer, name string, mode int, data []byte) {
	inode := buf.Len() + 1 // only has to differ
	fmt.Fprintf(buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	buf.WriteString(name + "\x00")
	pad(buf)
	buf.Write(data)
	pad(buf)
}

func pad(buf *bytes.Buffer) {
	for buf.Len()%4 != 0 {
		buf.WriteByte(0)
	}
}
