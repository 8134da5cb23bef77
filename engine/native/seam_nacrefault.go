//go:build nacrefault

package native

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"nacre/sandbox/blueprint"
)

func (b *box) seam(ctx context.Context, step func(context.Context) error) error {
	name := os.Getenv("NACREFAULT")
	instructs := func(e blueprint.Entry) bool { return e.Path == "/nacrefault:"+name }
	told := slices.ContainsFunc(b.spec.Entries, instructs)
	switch {
	case b.spec.Seccomp != nil && b.process == nil && !told: // prepared: the blueprint tells init
		b.spec.Entries = append(b.spec.Entries, blueprint.Entry{Form: blueprint.Folder, Path: "/nacrefault:" + name})
	case b.facts["reading"] != "" && told: // confined
		b.spec.Entries = slices.DeleteFunc(b.spec.Entries, instructs)
		if err := b.breach(name); err != nil {
			return err
		}
	}
	return step(ctx)
}

// breach breaks what is the supervisor's.
func (b *box) breach(name string) error {
	switch name {
	case "uid map":
		b.mapping.UID++
	case "gid map":
		b.mapping.GID++
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(name, "group ")); err == nil {
		return b.loosen(n)
	}
	return nil
}

// loosen changes the nth thing that the control group holds.
func (b *box) loosen(n int) error {
	if b.group == nil {
		return errors.New("there is nothing more to loosen")
	}
	list := b.bounds()
	if n >= len(list) {
		return errors.New("there is nothing more to loosen")
	}
	if in, ok := strings.CutPrefix(list[n].Item, "member of "); ok {
		return b.move(in, n)
	}
	for _, value := range []string{other(list[n].Found, 2), other(list[n].Found, 0.5), "max", "0", "1"} {
		for _, dir := range b.entry.Record.Groups.Folders {
			file := filepath.Join(dir, list[n].Item)
			if os.WriteFile(file, []byte(value), 0) == nil && !b.bounds()[n].OK {
				return nil
			}
		}
	}
	return fmt.Errorf("%s cannot be changed", list[n].Item)
}

// other is another number.
func other(value string, factor float64) string {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return value
	}
	return strconv.FormatInt(int64(n*factor), 10)
}

// move takes init out of its leaf, which on v1 may be the group itself.
func (b *box) move(dir string, n int) error {
	pid, errs := []byte(strconv.Itoa(b.process.PID)), []error{}
	for _, leaf := range []string{"../supervisor", "..", "../.."} {
		err := os.WriteFile(filepath.Join(dir, leaf, "cgroup.procs"), pid, 0)
		if err == nil && !b.bounds()[n].OK {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
