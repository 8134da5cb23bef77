package seccomp

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// every is all the options there are: the tests below leave none out.
func every() []Options {
	var all []Options
	groups := groupNames()
	for _, arch := range []Arch{AMD64, ARM64} {
		for bits := range 2 << len(groups) {
			o := Options{Arch: arch, Loopback: bits&1 != 0}
			for i, g := range groups {
				if bits&(2<<i) != 0 {
					o.Groups = append(o.Groups, g)
				}
			}
			all = append(all, o)
		}
	}
	return all
}

func (o Options) String() string {
	return fmt.Sprintf("%s/%s/loopback=%v", o.Arch, strings.Join(o.Groups, "+"), o.Loopback)
}

// build makes the filter of these options.
func build(o Options) (Filter, error) {
	t, err := NewTable(o)
	if err != nil {
		return nil, err
	}
	return t.Filter(), nil
}

// word is what the kernel must be told for a verdict. It is written apart from
// the assembler on purpose.
func word(v Verdict, notify bool) uint32 {
	switch {
	case v.Permit:
		return 0x7fff0000
	case v.Errno == unix.ENOSYS:
		return 0x00050000 + 38
	case notify && !v.Quiet:
		return 0x7fc00000 + max(1, uint32(v.Errno))
	default:
		return 0x00050000 + max(1, uint32(v.Errno))
	}
}

// interesting are the values that some rule compares with, and neighbours of
// theirs: random words alone would hardly ever meet a condition.
func interesting(tb *judged) []uint64 {
	values := []uint64{0, 1, 1 << 32, ^uint64(0)}
	for _, name := range slices.Sorted(maps.Keys(tb.said)) {
		for _, c := range tb.said[name].clauses {
			for _, test := range c.when {
				for _, v := range append([]uint32{test.mask, ^test.mask}, test.values...) {
					values = append(values, uint64(v), uint64(v)+1, uint64(v)-1, uint64(v)|0x800, uint64(v)|1<<32)
				}
			}
		}
	}
	return values
}

// TestProgramIsTheTable compares every program with the direct evaluation of
// its table: each number with plain arguments, and the numbers that have a
// condition with many.
func TestProgramIsTheTable(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, o := range every() {
		t.Run(o.String(), func(t *testing.T) {
			tb := table(t, o)
			programs := map[bool]Filter{true: tb.Filter(), false: tb.Filter().Silent()}
			check := func(number uint32, args [6]uint64) {
				for notify, p := range programs {
					got, _, err := run(p, data{number, tb.audit, args})
					if want := word(tb.Judge(number, args), notify); err != nil || got != want {
						t.Fatalf("%d %q %#x: the program answers %#x, %v; the table %#x (notify %v)", number, tb.Name(number), args, got, err, want, notify)
					}
				}
			}
			for number := range uint32(600) {
				check(number, [6]uint64{})
				check(x32+number, [6]uint64{})
				check(1<<31+number, [6]uint64{})
				check(random.Uint32(), [6]uint64{})
			}
			values := interesting(tb)
			for _, n := range tb.numbers {
				for range 200 * min(1, len(tb.said[n.name].clauses)) {
					var args [6]uint64
					for i := range args {
						args[i] = values[random.IntN(len(values))]
					}
					check(n.number, args)
				}
			}
		})
	}
}

// TestProgramsAreWellFormed checks what the kernel checks, for all options:
// jumps stay inside, and the length is bounded. A jump too long for its byte
// would have been cut, and TestProgramIsTheTable would land elsewhere.
func TestProgramsAreWellFormed(t *testing.T) {
	longest, deepest := 0, 0
	for _, o := range every() {
		tb := table(t, o)
		p := tb.Filter()
		for pc, i := range p {
			reach := max(int(i.Jt), int(i.Jf))
			if i.Code == unix.BPF_JMP|unix.BPF_JA {
				reach = int(i.K)
			}
			if i.Code&7 == unix.BPF_JMP && pc+1+reach >= len(p) {
				t.Errorf("%v: instruction %d jumps out", o, pc)
			}
		}
		for _, n := range tb.numbers {
			_, steps, _ := run(p, data{n.number, tb.audit, [6]uint64{}})
			deepest = max(deepest, steps)
		}
		longest = max(longest, len(p))
	}
	if longest > 1024 { // the kernel's own bound is 4096
		t.Errorf("the longest program has %d instructions", longest)
	}
	if deepest > 64 {
		t.Errorf("some call takes %d instructions", deepest)
	}
	t.Logf("longest program %d instructions, longest way through %d", longest, deepest)
}

// TestLongJumps assembles more spans than a conditional jump can pass over:
// the present table is not large enough to need it.
func TestLongJumps(t *testing.T) {
	var spans []span
	for n := range uint32(700) {
		spans = append(spans, span{n, Filter{{Code: answer, K: refuse | (n + 1)}}})
	}
	p := append(Filter{{Code: load}}, search(spans)...)
	for n := range uint32(700) {
		if got, _, err := run(p, data{number: n, arch: 7}); err != nil || got != unix.SECCOMP_RET_ERRNO|(n+1) {
			t.Fatalf("number %d: %#x, %v", n, got, err)
		}
	}
}

// TestEveryCallIsClassed keeps each call of the kernel in exactly one of the
// base tables, and each name in them a real one.
func TestEveryCallIsClassed(t *testing.T) {
	seen := map[string]int{}
	for _, e := range slices.Concat(families("permitted"), families("absent"), families("refused"), families("quiet")) {
		if e.reason == "" {
			t.Errorf("%q has no reason", e.names)
		}
		for _, name := range e.names {
			seen[name]++
		}
	}
	real := map[string]bool{}
	for _, name := range slices.Concat(numbers[AMD64], numbers[ARM64]) {
		real[name] = true
		if name != "" && seen[name] != 1 {
			t.Errorf("%s is in the base tables %d times, not once", name, seen[name])
		}
	}
	for name := range seen {
		if !real[name] {
			t.Errorf("%s is in a table and is no system call", name)
		}
	}
}

// TestGroupsAddToTheBase checks that groups only loosen, do not overlap, and
// each say what they loosen.
func TestGroupsAddToTheBase(t *testing.T) {
	owner := map[string]string{}
	for group, warning := range Groups() {
		if warning == "" {
			t.Errorf("%s has no warning", group)
		}
		for _, e := range families(group) {
			for _, name := range e.names {
				if owner[name] != "" {
					t.Errorf("%s is in %s and in %s", name, owner[name], group)
				}
				owner[name] = group
			}
		}
		for _, arch := range []Arch{AMD64, ARM64} {
			without, with := table(t, Options{Arch: arch, Loopback: true}), table(t, Options{Arch: arch, Loopback: true, Groups: []string{group}})
			loosened := map[string]bool{}
			for _, n := range with.numbers {
				for _, v := range append(interesting(with), interesting(without)...) {
					args := [6]uint64{v, v, v, v, v, v}
					before, after := without.Judge(n.number, args), with.Judge(n.number, args)
					if before.Permit && !after.Permit {
						t.Fatalf("%s refuses %s %#x, which the base permits", group, n.name, v)
					}
					if before != after {
						loosened[n.name] = true
						if owner[n.name] != group {
							t.Fatalf("%s changes %s, which it does not name", group, n.name)
						}
					}
				}
			}
			for name := range owner {
				if owner[name] == group && !loosened[name] {
					t.Errorf("%s names %s and does not loosen it", group, name)
				}
			}
		}
	}
}

func TestForeignArchitectureIsKilled(t *testing.T) {
	for _, o := range every() {
		p := table(t, o).Filter()
		for _, arch := range []uint32{0, unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_ARM, unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_AARCH64, unix.AUDIT_ARCH_S390X} {
			if arch == audits[o.Arch] {
				continue
			}
			for number := range uint32(500) {
				if got, _, err := run(p, data{number: number, arch: arch}); err != nil || got != unix.SECCOMP_RET_KILL_PROCESS {
					t.Fatalf("%v: architecture %#x number %d: %#x, %v", o, arch, number, got, err)
				}
			}
		}
	}
}

func TestBuild(t *testing.T) {
	base, err := build(Options{Arch: AMD64, Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]Options{}
	for _, o := range every() {
		f, err := build(o)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := digests[f.Digest()]; ok {
			t.Errorf("%v and %v make the same filter", o, other)
		}
		digests[f.Digest()] = o
		if len(f.Bytes()) != 8*len(f) {
			t.Errorf("%v: %d bytes for %d instructions", o, len(f.Bytes()), len(f))
		}
	}
	again, _ := build(Options{Arch: AMD64, Loopback: true, Groups: nil})
	if base.Digest() != again.Digest() {
		t.Error("the same options make two filters")
	}
	both, _ := build(Options{Arch: AMD64, Groups: []string{"debug", "nested-sandbox"}})
	swapped, _ := build(Options{Arch: AMD64, Groups: []string{"nested-sandbox", "debug", "debug"}})
	if both.Digest() != swapped.Digest() {
		t.Error("the order of groups matters")
	}
}

func TestBuildRefuses(t *testing.T) {
	for _, c := range []struct {
		options Options
		kind    fault.Kind
	}{
		{Options{}, fault.Unsupported},
		{Options{Arch: "riscv64"}, fault.Unsupported},
		{Options{Arch: AMD64, Groups: []string{""}}, fault.Invalid},
		{Options{Arch: AMD64, Groups: []string{"debug", "Debug"}}, fault.Invalid},
	} {
		f, err := build(c.options)
		if fault.KindOf(err) != c.kind || fault.HintOf(err) == "" || f != nil {
			t.Errorf("%+v: %v (hint %q), %d instructions", c.options, err, fault.HintOf(err), len(f))
		}
	}
}

// TestCallAgreesWithTheFilter: what explain calls denied, the program never
// permits, and what it allows without a condition, it always does.
func TestCallAgreesWithTheFilter(t *testing.T) {
	for _, o := range every() {
		tb := table(t, o)
		for _, n := range tb.numbers {
			c, ok := tb.Call(n.name)
			if !ok {
				t.Errorf("%s is not there", n.name)
			}
			conditional := c.Limit != ""
			if conditional != (len(c.code) > 1) {
				t.Errorf("%s: a rule has clauses if and only if it says so", n.name)
			}
			permits := tb.Judge(n.number, [6]uint64{}).Permit
			if !conditional && permits != c.Permit() {
				t.Errorf("%v: %s: said to be permitted: %v", o, n.name, c.Permit())
			}
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	for b.Loop() {
		if _, err := build(Options{Arch: AMD64, Loopback: true}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestSilent: where nobody can be told of refusals, the filter is, instruction by
// instruction, the same, but for answers: they have the errno of the report.
// TestProgramIsTheTable compares both with the table.
func TestSilent(t *testing.T) {
	for _, o := range every() {
		loud, reports := table(t, o).Filter(), 0
		for i, is := range loud.Silent() {
			was := loud[i]
			if was.Code == unix.BPF_RET && was.K>>16 == unix.SECCOMP_RET_USER_NOTIF>>16 {
				reports++
				was.K = unix.SECCOMP_RET_ERRNO | was.K&0xffff
			}
			if is != was || is.Code == unix.BPF_RET && is.K&0xffff == 0 && is.K != unix.SECCOMP_RET_ALLOW && is.K != unix.SECCOMP_RET_KILL_PROCESS {
				t.Fatalf("%v: instruction %d is %+v, not %+v", o, i, is, was)
			}
		}
		if reports == 0 {
			t.Errorf("%v: nothing is reported", o)
		}
	}
}

var update = flag.Bool("update", false, "write testdata/filters.txt anew")

// TestFiltersAreRecorded: whoever changes a filter sees which others change with it.
func TestFiltersAreRecorded(t *testing.T) {
	const file = "testdata/filters.txt"
	text := "# The length of each filter and its SHA-256. go test ./seccomp -run Recorded -update writes it.\n"
	for _, o := range every() {
		for _, o.Watched = range []bool{false, true} {
			for _, o.Only = range [][]string{nil, {"read", "clone", "socket", "tgkill", "mmap", "exit_group"}} {
				f := table(t, o).Filter()
				text += fmt.Sprintf("%v/watched=%v/%s %d %s\n", o, o.Watched, strings.Join(o.Only, "+"), len(f), f.Digest())
			}
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	recorded, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	was := strings.Split(string(recorded), "\n")
	for i, line := range strings.Split(text, "\n") {
		if i >= len(was) || was[i] != line {
			t.Errorf("line %d of %s does not say %s", i+1, file, line)
		}
	}
}
