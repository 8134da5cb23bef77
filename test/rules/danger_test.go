package rules

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// unsafeFiles are the files with unsafe pointers or raw system calls: what the
// compiler cannot check, a reader must.
var unsafeFiles = map[string]string{
	"sandbox/build/build.go":    "the raw credential calls, for this thread alone",
	"sandbox/layer/layer.go":    "Landlock and loading a filter have no wrapper in x/sys",
	"sandbox/reap/start.go":     "TIOCGPTPEER has no wrapper that returns a descriptor",
	"sandbox/cgroup/threads.go": "has each thread write for itself",
	"sandbox/spawn/spawn.go":    "prepares system calls for a process that runs no Go code",
	"sandbox/notify/notify.go":  "the ioctls of a filter's listener have no wrapper in x/sys",
	"test/window/main.go":       "a page that inside and outside share",
	"attack/ipc.go":             "System V shared memory and queues have no wrapper",
	"sandbox/reap/reap.go":      "takes the Go runtime's handlers off signals; names the process",
}

// TestDangerIsNamed: unsafe and raw system calls only in the files above, and
// none of those without. Attack and test programs are danger by trade.
func TestDangerIsNamed(t *testing.T) {
	for name, p := range tree(t) {
		if strings.HasPrefix(name, "cmd/nacre-attack") || places[name].layer == beside {
			continue
		}
		for _, f := range p.source() {
			found := dangerIn(f)
			reason, listed := unsafeFiles[f.path]
			switch {
			case found != "" && !listed:
				t.Errorf("%s uses %s: name the file and the reason in this test", f.path, found)
			case found == "" && listed:
				t.Errorf("%s is no longer dangerous (%s): take it out", f.path, reason)
			}
		}
	}
	for name := range unsafeFiles {
		if _, ok := tree(t)[dirOf(name)]; !ok {
			t.Errorf("%s does not exist: take it out", name)
		}
	}
}

func dirOf(name string) string {
	if i := strings.LastIndex(name, "/"); i >= 0 {
		return name[:i]
	}
	return "."
}

var raw = regexp.MustCompile(`^(Raw)?Syscall6?(NoError)?$`)

func dangerIn(f file) (what string) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			if n.Path.Value == `"unsafe"` {
				what = "unsafe"
			}
		case *ast.SelectorExpr:
			if of, name := selector(n); (of == "unix" || of == "syscall") && raw.MatchString(name) {
				what = of + "." + name
			}
		}
		return true
	})
	return what
}

func selector(n *ast.SelectorExpr) (of, name string) {
	if id, ok := n.X.(*ast.Ident); ok {
		return id.Name, n.Sel.Name
	}
	return "", ""
}

// boundary are the calls of golang.org/x/sys/unix and syscall that make or
// change a sandbox: mounts, namespaces, filters, capabilities, limits.
var boundary = regexp.MustCompile(`^(Mount|MountSetattr|Unmount|Umount|MoveMount|OpenTree|Fsopen|Fsmount|Fspick|Fsconfig\w*|PivotRoot|Chroot|` +
	`Unshare|Setns|Sethostname|Setdomainname|Capset|Prctl|Prlimit|Setrlimit|Mknod|Mknodat|` +
	`Setuid|Setgid|Setgroups|Setresuid|Setresgid|SYS_(SECCOMP|LANDLOCK_\w+|UNSHARE|SETNS|CLONE3?|MOUNT\w*|PIVOT_ROOT|EXECVEAT|SET\w+ID|SETGROUPS))$`)

// process are the fields of syscall.SysProcAttr that put a process into
// namespaces or groups.
var process = regexp.MustCompile(`^(Cloneflags|Unshareflags|UidMappings|GidMappings|AmbientCaps|Chroot|UseCgroupFD|Credential)$`)

// questions are files outside sandbox/ that ask the kernel what it can do,
// with arguments that change nothing.
var questions = map[string]string{
	"doctor/doctor.go": "mount_setattr on descriptor -1: fails always, and how it fails is the answer",
}

// TestBoundaryLivesInSandbox: nothing but sandbox/... touches mounts,
// namespaces, filters and capabilities.
func TestBoundaryLivesInSandbox(t *testing.T) {
	used := map[string]bool{}
	for name, p := range tree(t) {
		if name == "sandbox" || strings.HasPrefix(name, "sandbox/") || strings.HasPrefix(name, "cmd/nacre-attack") || places[name].layer == beside {
			continue
		}
		for _, f := range p.source() {
			for _, call := range boundaryCalls(f) {
				if _, ok := questions[f.path]; ok {
					used[f.path] = true
					continue
				}
				t.Errorf("%s uses %s, which belongs under sandbox/", f.path, call)
			}
		}
	}
	for name := range questions {
		if !used[name] {
			t.Errorf("%s asks nothing any more: take it out", name)
		}
	}
}

func boundaryCalls(f file) (calls []string) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if of, name := selector(n); (of == "unix" || of == "syscall") && boundary.MatchString(name) {
				calls = append(calls, of+"."+name)
			}
		case *ast.KeyValueExpr:
			if id, ok := n.Key.(*ast.Ident); ok && process.MatchString(id.Name) {
				calls = append(calls, "SysProcAttr."+id.Name)
			}
		}
		return true
	})
	return calls
}

// kernelTypes are what the filter's package may use of x/sys/unix as if it
// were called: conversions.
var kernelTypes = map[string]bool{"Errno": true, "SockFilter": true}

// TestFilterIsData: the seccomp package describes a filter and calls nothing.
func TestFilterIsData(t *testing.T) {
	for _, f := range tree(t)["seccomp"].source() {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if s, ok := call.Fun.(*ast.SelectorExpr); ok {
				if of, name := selector(s); of == "unix" && !kernelTypes[name] {
					t.Errorf("%s calls unix.%s", f.set.Position(call.Pos()), name)
				}
			}
			return true
		})
	}
}

// constantCalls are functions that may make the value of a package-level
// variable: they are pure, and their results are used as constants.
var constantCalls = map[string]bool{"errors.New": true, "fault.New": true, "regexp.MustCompile": true,
	"strings.NewReplacer": true, "slices.DeleteFunc": true, "sha256.Sum256": true}

// changers are functions that change what they are given.
var changers = map[string]bool{"delete": true, "clear": true, "append": true, "slices.Sort": true, "slices.SortFunc": true,
	"slices.Reverse": true, "sort.Slice": true, "sort.Strings": true, "maps.Copy": true}

// TestNoState: the core has no init functions and no package-level variable
// that could change. What is written once, where it is declared, is a table.
func TestNoState(t *testing.T) {
	for name, p := range tree(t) {
		if !trusted(name) {
			continue
		}
		variables := map[string]bool{}
		for _, f := range p.source() {
			for _, d := range f.syntax.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					// nacre-init's keeps main on the process's first thread: nowhere else is early enough.
					if d.Recv == nil && d.Name.Name == "init" && f.path != "cmd/nacre-init/main.go" {
						t.Errorf("%s: func init: wire things by hand", f.set.Position(d.Pos()))
					}
				case *ast.GenDecl:
					if d.Tok == token.VAR {
						declared(t, f, d, variables)
					}
				}
			}
		}
		for _, f := range p.source() {
			changes(t, f, variables)
		}
	}
}

// declared notes the variables of a declaration and judges their first values.
func declared(t *testing.T, f file, d *ast.GenDecl, variables map[string]bool) {
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		for i, name := range v.Names {
			variables[name.Name] = true
			at := f.set.Position(name.Pos())
			switch {
			case name.Name == "_":
			case embedded(d):
			case len(v.Values) <= i:
				t.Errorf("%s: variable %s has no value: it is there to be changed", at, name.Name)
			case !constant(v.Values[i]):
				t.Errorf("%s: variable %s is not a table, an error or a pattern", at, name.Name)
			case name.IsExported() && !isError(v.Values[i]):
				t.Errorf("%s: variable %s is exported: anybody could change it; export a function", at, name.Name)
			}
		}
	}
}

func embedded(d *ast.GenDecl) bool {
	return d.Doc != nil && strings.Contains(d.Doc.List[len(d.Doc.List)-1].Text, "//go:embed ")
}

func isError(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	return ok && called(call) == "errors.New"
}

func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if of, name := selector(f); of != "" {
			return of + "." + name
		}
	}
	return ""
}

// constant tells whether an expression is a literal, a name, or a call that is
// known to be pure, all through.
func constant(e ast.Expr) bool {
	ok := true
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			_, conversion := n.Fun.(*ast.ArrayType)
			ok = ok && (conversion || constantCalls[called(n)] || localCall(n))
			return ok
		case *ast.FuncLit, *ast.ArrayType, *ast.MapType, *ast.StructType:
			return false // what a table's functions do is judged where they are called
		case *ast.ChanType:
			ok = false
		}
		return ok
	})
	return ok
}

// localCall is a call of a function of the same package or of strings: the
// tables of the filter are written with such helpers.
func localCall(c *ast.CallExpr) bool {
	name := called(c)
	return name != "make" && name != "new" && (!strings.Contains(name, ".") && name != "" || strings.HasPrefix(name, "strings."))
}

// changes finds statements that change a package-level variable.
func changes(t *testing.T, f file, variables map[string]bool) {
	for _, d := range f.syntax.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		own := locals(fn)
		mine := func(e ast.Expr) bool {
			name := base(e)
			return variables[name] && !own[name]
		}
		report := func(n ast.Node, e ast.Expr) {
			t.Errorf("%s: %s is changed: the core keeps no state of its own", f.set.Position(n.Pos()), base(e))
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, e := range n.Lhs {
					if n.Tok != token.DEFINE && mine(e) {
						report(n, e)
					}
				}
			case *ast.IncDecStmt:
				if mine(n.X) {
					report(n, n.X)
				}
			case *ast.UnaryExpr:
				if n.Op == token.AND && mine(n.X) {
					report(n, n.X)
				}
			case *ast.CallExpr:
				if changers[called(n)] && len(n.Args) > 0 && mine(n.Args[0]) {
					report(n, n.Args[0])
				}
			}
			return true
		})
	}
}

// base is the name that an expression such as table[i].field begins with.
func base(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x.Name
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return ""
		}
	}
}

// locals are the names that a function declares itself.
func locals(fn *ast.FuncDecl) map[string]bool {
	own := map[string]bool{}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, name := range n.Names {
				own[name.Name] = true
			}
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					own[id.Name] = true
				}
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					own[id.Name] = true
				}
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				own[name.Name] = true
			}
		}
		return true
	})
	return own
}
