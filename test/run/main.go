// Command run runs this tree's tests and counts them: each package's tests are
// compiled once and run in the package's folder. Started as root it runs them
// twice, as root and as a plain user with a home of its own, because the
// boundary has to hold for both. Skips are listed with their reasons, and the
// last line is the sum.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// options are what the command line says.
type options struct {
	race     bool
	rootOnly bool
	pattern  string
	timeout  time.Duration
	parallel int
	packages []string
}

func main() {
	var o options
	flag.BoolVar(&o.race, "race", false, "with the race detector, which needs a C compiler")
	flag.BoolVar(&o.rootOnly, "once", false, "only as the calling user")
	flag.StringVar(&o.pattern, "run", "", "only tests that match")
	flag.DurationVar(&o.timeout, "timeout", 8*time.Minute, "for each package")
	flag.IntVar(&o.parallel, "p", 2, "packages at a time")
	flag.Parse()
	syscall.Umask(0o022) // nacre refuses programs that others can write to
	if o.packages = flag.Args(); len(o.packages) == 0 {
		o.packages = []string{"./..."}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	t, err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	t.close(os.Stdout)
	if t.failed > 0 {
		os.Exit(1)
	}
}

// run does everything and leaves nothing behind but the tally.
func run(ctx context.Context, o options) (*tally, error) {
	dir, err := os.MkdirTemp("", "nacre-tests-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	t := &tally{}
	suites, err := compile(ctx, o, dir, t)
	if err != nil {
		return nil, err
	}
	users := []user{self(dir)}
	if os.Geteuid() == 0 && !o.rootOnly {
		plain, err := plainUser(ctx, dir)
		if err != nil {
			return nil, err
		}
		users = append(users, plain)
	}
	for _, u := range users {
		runAll(ctx, o, suites, u, t)
	}
	survivors(dir, t)
	return t, ctx.Err()
}

// suite is one package's compiled tests.
type suite struct {
	pkg    string // import path
	folder string // relative to the tree's root
	binary string
}

// runAll runs every suite as one user, a few at a time.
func runAll(ctx context.Context, o options, suites []suite, u user, t *tally) {
	slots := make(chan struct{}, o.parallel)
	var all sync.WaitGroup
	for _, s := range suites {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			r := runSuite(ctx, o, s, u)
			t.add(os.Stdout, r)
		})
	}
	all.Wait()
}

// runSuite runs one package's tests as one user. Whatever they started is
// ended with them.
func runSuite(ctx context.Context, o options, s suite, u user) result {
	args := []string{"-test.v=test2json", "-test.paniconexit0", "-test.timeout=" + o.timeout.String()}
	if o.pattern != "" {
		args = append(args, "-test.run="+o.pattern)
	}
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Dir, cmd.Env = filepath.Join(u.tree, s.folder), u.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: u.credential}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	r := result{pkg: s.pkg, user: u.name}
	start := time.Now()
	r.run(cmd, u.converter)
	r.took = time.Since(start)
	return r
}
