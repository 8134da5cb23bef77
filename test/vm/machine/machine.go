// Package machine boots stock distribution machines in qemu and runs commands
// in them: Debian with its own kernel and systemd, on which Nacre has to work
// and which the machine of a developer or of CI need not resemble.
//
// Images and kernels come from the mirror that apt uses here, are built once
// and kept in a cache. No root is needed, except to install what is missing.
package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"nacre/fault"
	"nacre/test/vm/job"
)

// Step is one command to run in the machine.
type Step = job.Step

// StepResult is how a step ended.
type StepResult = job.Result

// The users that steps run as.
const (
	Root   = "root"
	Tester = job.Tester // uid 1000, with subordinate ids
)

// Dir is where the machine has the spec's files, and steps start.
const Dir = job.Dir

// Spec is a machine, and what to run in it. Only Steps is needed.
type Spec struct {
	Arch    string  // amd64 (default) or arm64
	Release string  // the distribution's suite: bookworm (default), trixie
	Kernel  string  // the suite of the kernel: Release (default) or bookworm-backports
	Variant Variant // how it differs from a stock machine
	// Files are carried into Dir: name there → file or folder here.
	Files map[string]string
	Steps []Step
	// Timeout bounds the run without the making of an image; default 5 minutes.
	Timeout time.Duration
	// Cache is a folder; default $NACRE_CACHE, else nacre in the user's cache.
	Cache string
	// Progress gets a line for each thing that happens. It may be nil.
	Progress io.Writer
}

// Run boots a machine, runs the steps in order and returns their results. A
// step that fails is a result, not an error; an error comes with the results
// of the steps that ended before it.
func Run(ctx context.Context, s Spec) ([]StepResult, error) {
	s, err := s.complete()
	if err != nil {
		return nil, err
	}
	img, err := s.image(ctx)
	if err != nil {
		return nil, err
	}
	j := job.Job{Setup: s.Variant.Setup, Steps: s.Steps}
	return s.boot(ctx, img, j, s.Files, s.Timeout)
}

// Prepare makes the image and the kernel of a spec, if the cache has none.
func Prepare(ctx context.Context, s Spec) error {
	s, err := s.complete()
	if err == nil {
		_, err = s.image(ctx)
	}
	return err
}

// complete fills in the defaults and refuses what cannot be.
func (s Spec) complete() (Spec, error) {
	s.Arch = or(s.Arch, "amd64")
	s.Release = or(s.Release, "bookworm")
	s.Kernel = or(s.Kernel, s.Release)
	if s.Timeout == 0 {
		s.Timeout = 5 * time.Minute
	}
	if s.Progress == nil {
		s.Progress = io.Discard
	}
	if _, ok := arches[s.Arch]; !ok {
		return s, fault.New(fault.Usage, "no machine of architecture %q", s.Arch)
	}
	if s.Cache == "" {
		dir, err := cacheDir()
		if err != nil {
			return s, err
		}
		s.Cache = dir
	}
	steps, err := completeSteps(s.Steps, s.Variant)
	s.Steps = steps
	return s, err
}

func completeSteps(steps []Step, v Variant) ([]Step, error) {
	if len(steps) == 0 {
		return nil, fault.New(fault.Usage, "a machine without steps")
	}
	done := make([]Step, len(steps))
	for i, st := range steps {
		if st.User != Root && st.User != Tester {
			return nil, fault.New(fault.Usage, "step %q: user is root or tester, not %q", st.Name, st.User)
		}
		if st.Timeout == 0 {
			st.Timeout = time.Minute
		}
		st.Dir = or(st.Dir, Dir)
		st.Bare = st.Bare || v.Setup.NoSession
		done[i] = st
	}
	return done, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func cacheDir() (string, error) {
	if dir := os.Getenv("NACRE_CACHE"); dir != "" {
		dir, err := filepath.Abs(dir)
		return filepath.Join(dir, "vm"), err
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fault.Wrap(fault.Usage, err, "no place for machine images").WithHint("set NACRE_CACHE to a folder")
	}
	return filepath.Join(dir, "nacre", "vm"), nil
}

func (s Spec) say(format string, args ...any) {
	fmt.Fprintf(s.Progress, format+"\n", args...)
}

// readResults reads the results disk: JSON lines, then zeros.
func readResults(file string) ([]StepResult, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []StepResult
	d := json.NewDecoder(f)
	for {
		var r StepResult
		err := d.Decode(&r)
		var syntax *json.SyntaxError
		switch {
		case err == nil:
			all = append(all, r)
		case errors.Is(err, io.EOF), errors.As(err, &syntax):
			return all, nil
		default:
			return all, err
		}
	}
}
