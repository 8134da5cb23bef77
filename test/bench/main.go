// Command bench measures what docs/PERFORMANCE.md says: how long a sandbox takes
// to start beside others of its kind, what it takes in memory, and what it costs
// to be inside. It prints tables, and all of it as JSON.
//
//	go run ./test/bench [-n ROUNDS] [-only starts,memory,inside,scan] [-json FILE]
//
// It is also the programs that it needs: what works inside, and the members of a
// pool.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// bench is one session.
type bench struct {
	rounds, idle, files, heap int

	dir    string // scratch, reachable by everybody
	bin    string // nacre's programs
	self   string // this program, likewise
	filter string // the system-call filter that everybody gets
	notes  []string
	report report
}

func main() {
	syscall.Umask(0o022)
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "inside":
			exit(inside(os.Args[2:]))
		case "member":
			exit(member(os.Args[2:]))
		case "resident":
			exit(resident(os.Args[2:]))
		}
	}
	exit(run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run() error {
	var b bench
	flag.IntVar(&b.rounds, "n", 50, "rounds of each start")
	flag.IntVar(&b.idle, "idle", 500, "idle sandboxes")
	flag.IntVar(&b.files, "files", 100_000, "files to scan")
	flag.IntVar(&b.heap, "heap", 256, "MiB of the resident process")
	only := flag.String("only", "starts,memory,inside,scan", "what to measure")
	out := flag.String("json", "", "write the figures to this file too")
	flag.StringVar(&b.bin, "bin", "bin", "where nacre and the programs beside it are")
	flag.Parse()
	if err := b.prepare(); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.report.Machine = machine()
	for _, part := range []struct {
		name string
		do   func() error
	}{{"starts", b.starts}, {"memory", b.memory}, {"inside", b.insides}, {"scan", b.scan}} {
		if !slices.Contains(strings.Split(*only, ","), part.name) {
			continue
		}
		if err := part.do(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	b.report.Notes = b.notes
	b.report.print(os.Stdout)
	if *out == "" {
		return nil
	}
	text, err := json.MarshalIndent(b.report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*out, append(text, '\n'), 0o644)
}

// prepare copies the programs to where a plain user can execute them too.
func (b *bench) prepare() (err error) {
	if b.dir, err = os.MkdirTemp("", "nacre-bench"); err != nil {
		return err
	}
	if err = os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.self = filepath.Join(b.dir, "bench")
	for from, to := range map[string]string{self: b.self, filepath.Join(b.bin, "nacre"): b.at("nacre"), filepath.Join(b.bin, "nacre-init"): b.at("nacre-init"),
		filepath.Join(b.bin, "nacre-gateway"): b.at("nacre-gateway")} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, text, 0o755)
		}
		if err != nil {
			return fmt.Errorf("%w (make builds it)", err)
		}
	}
	return nil
}

func (b *bench) at(name string) string { return filepath.Join(b.dir, name) }

// note says what could not be measured.
func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}
