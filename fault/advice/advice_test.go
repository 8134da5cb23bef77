package advice

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// kinds are those that package fault declares.
func kinds(t *testing.T) (list []fault.Kind) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "Kind" {
				text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, fault.Kind(text))
			}
		}
		return true
	})
	return list
}

// TestEveryKind: there is advice for every kind of fault, a different one for each, and
// for what is of none.
func TestEveryKind(t *testing.T) {
	list := kinds(t)
	if len(list) < 12 || len(list) != len(byKind) {
		t.Errorf("%d kinds, and advice for %d", len(list), len(byKind))
	}
	said := map[string]fault.Kind{}
	for _, kind := range list {
		hint := Of(fault.New(kind, "x"), "nacre run")
		if other, twice := said[hint]; hint == "" || twice {
			t.Errorf("%q: %q, as %q", kind, hint, other)
		}
		said[hint] = kind
	}
	for _, err := range []error{errors.New("plain"), fault.New("of no kind", "x"), errors.Join(errors.New("a"), errors.New("b"))} {
		if hint := Of(err, "nacre"); !strings.Contains(hint, "please report it") {
			t.Errorf("%v: %q", err, hint)
		}
	}
	if hint := Of(nil, "nacre"); hint != "" {
		t.Errorf("of nothing: %q", hint)
	}
}

// TestOf: who knows better is believed; but what is used up, doctor would not find.
func TestOf(t *testing.T) {
	doctor := func(err error) error {
		return fault.Wrap(fault.Unsupported, err, "cannot start a sandbox").WithHint("nacre doctor says what this machine lacks")
	}
	for _, c := range []struct {
		err  error
		hint string
	}{
		{doctor(unix.EAGAIN), "ulimit -u and pids.max"},
		{doctor(unix.ENOMEM), "no more memory"},
		{doctor(unix.ENOSPC), "df -h"},
		{doctor(unix.EPERM), "nacre doctor says"},
		{&os.PathError{Op: "open", Path: "/x", Err: unix.EMFILE}, "ulimit -n"},
		{&os.PathError{Op: "write", Path: "/x", Err: unix.EFBIG}, "ulimit -f"},
		{&os.PathError{Op: "open", Path: "/x", Err: unix.EACCES}, "ls -ld"},
		{fault.Wrap(fault.Exhausted, unix.EROFS, "cannot write"), "read-only"},
		{fault.Wrap(fault.Conflict, unix.EAGAIN, "another has it").WithHint("wait for it"), "wait for it"},
		{fault.New(fault.Usage, "no such flag"), "nacre ps --help"},
		{fault.New(fault.Unsupported, "the sandbox cannot be built: landlock: /dev/full: too many open files"), "--limit open-files=1024"},
		{errors.Join(fault.New(fault.Usage, "a"), fault.New(fault.Denied, "b")), "nacre ps --help"},
	} {
		if got := Of(c.err, "nacre ps"); !strings.Contains(got, c.hint) {
			t.Errorf("%v: %q, want %q", c.err, got, c.hint)
		}
	}
}

// TestOr: a hint that is there stays.
func TestOr(t *testing.T) {
	inner := fault.New(fault.Invalid, "x")
	if got := fault.HintOf(Or(fault.Wrap(fault.Invalid, inner, "y"), "do this")); got != "do this" {
		t.Errorf("%q", got)
	}
	if got := fault.HintOf(Or(fault.Wrap(fault.Invalid, fault.New(fault.Invalid, "x").WithHint("that"), "y"), "do this")); got != "that" {
		t.Errorf("%q", got)
	}
	plain := errors.New("plain")
	if Or(nil, "x") != nil || Or(plain, "x") != plain {
		t.Error("what is no fault changed")
	}
}
