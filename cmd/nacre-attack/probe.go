package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

// probe is one row of a table. Where bare is false it may only run in a
// sandbox; where alone is true it may take the sandbox down with it.
type probe struct {
	id, ref, how, good string
	proof              wire.Proof
	needs              []string
	bare               bool
	alone              bool
	tty                bool
	timeout            time.Duration
	run                func(*wire.Config, *probe) outcome
}

const usualTimeout = 10 * time.Second

func (p *probe) spec() wire.Spec {
	class, _, _ := strings.Cut(p.id, ".")
	timeout := p.timeout
	if timeout == 0 {
		timeout = usualTimeout
	}
	return wire.Spec{ID: p.id, Class: class, Reference: p.ref, Mechanism: p.how,
		Contained: p.good, Needs: p.needs, Proof: p.proof, Alone: p.alone,
		Terminal: p.tty, Safe: p.bare, Timeout: timeout}
}

// probes is every probe, class by class.
func probes() []probe {
	return slices.Concat(fileProbes(), processProbes(), privilegeProbes(), askProbes(),
		kernelProbes(), namespaceProbes(), settingProbes(), terminalProbes(), socketFamilyProbes(),
		otherProbes(), ipcProbes(), networkProbes(), exhaustionProbes(), limitProbes(),
		afterProbes(), plantProbes(), informationProbes(), unlistedProbes(), egressProbes())
}

// outcome is what a probe found out.
type outcome struct {
	verdict  wire.Verdict
	evidence string
	secret   string
}

func contained(format string, args ...any) outcome {
	return outcome{verdict: wire.Contained, evidence: fmt.Sprintf(format, args...)}
}

func escaped(format string, args ...any) outcome {
	return outcome{verdict: wire.Escaped, evidence: fmt.Sprintf(format, args...)}
}

func info(format string, args ...any) outcome {
	return outcome{verdict: wire.Info, evidence: fmt.Sprintf(format, args...)}
}

func failed(format string, args ...any) outcome {
	return outcome{verdict: wire.Error, evidence: fmt.Sprintf(format, args...)}
}

// stolen is escaped with a planted secret of this run found in data, if there
// is one.
func stolen(c *wire.Config, where string, data []byte) (outcome, bool) {
	i := bytes.Index(data, []byte(wire.SecretPrefix+c.Tag+"-"))
	if i < 0 {
		return outcome{}, false
	}
	end := i
	for end < len(data) && end-i < 100 && (data[end] == '-' || isAlphanumeric(data[end])) {
		end++
	}
	o := escaped("a planted secret was read: %s", where)
	o.secret = string(data[i:end])
	return o, true
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// doors collects the answers of several doors of one kind: one that is open
// makes the whole probe escaped, and every answer is evidence.
type doors struct {
	open, shut []string
	noted      []string
}

// tried records one answer. An error in past means that the kernel refused
// only our deliberately bad arguments: the permission check had been passed.
func (d *doors) tried(what string, err error, past ...error) {
	switch {
	case err == nil:
		d.open = append(d.open, what+": allowed")
	case slices.ContainsFunc(past, func(e error) bool { return e == err }):
		d.open = append(d.open, what+": "+errnoName(err)+", past the permission check")
	default:
		d.shut = append(d.shut, what+": "+errnoName(err))
	}
}

func (d *doors) note(format string, args ...any) {
	d.noted = append(d.noted, fmt.Sprintf(format, args...))
}

func (d *doors) outcome() outcome {
	switch {
	case len(d.open) > 0:
		return escaped("%s", strings.Join(append(d.open, d.noted...), "; "))
	case len(d.noted) > 0:
		return info("%s", strings.Join(append(d.noted, d.shut...), "; "))
	case len(d.shut) > 0:
		return contained("%s", strings.Join(d.shut, "; "))
	}
	return contained("nothing of the kind is to be seen")
}

func errnoName(err error) string {
	if e, ok := err.(unix.Errno); ok {
		if name := unix.ErrnoName(e); name != "" {
			return name
		}
	}
	return err.Error()
}

// call is a system call with no Go around it.
func call(number uintptr, args ...uintptr) (uintptr, error) {
	var a [6]uintptr
	copy(a[:], args)
	r, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return 0, errno
	}
	return r, nil
}

// opened is a call that answers with a descriptor, closed at once.
func opened(number uintptr, args ...uintptr) error {
	fd, err := call(number, args...)
	if err == nil {
		unix.Close(int(fd))
	}
	return err
}

// canOpen opens a file and closes it at once: nothing is read or written.
func canOpen(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}
