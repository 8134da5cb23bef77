// Package advice says what to do about an error that does not say so itself: by the
// number that the kernel gave, else by the fault's kind. It is for whoever prints
// errors, so that none is without a hint; who makes one and knows better says so there.
package advice

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// Of is what to do about an error of a command, which is named as it is typed: what the
// error itself says, else what is known of its like. It is empty for no error alone.
func Of(err error, command string) string {
	if err == nil {
		return ""
	}
	hint, number := fault.HintOf(err), byNumber(err)
	if strings.HasPrefix(err.Error(), "the sandbox cannot be built: ") && strings.HasSuffix(err.Error(), unix.EMFILE.Error()) {
		return "so many folders need more descriptors while the sandbox is built: --limit open-files=1024, or limits: {open-files: 1024} in the manifest"
	}
	if number.usedUp && (hint == "" || strings.Contains(hint, "nacre doctor")) { // which would not find it
		return number.hint
	}
	general := cmp.Or(byKind[fault.KindOf(err)], byKind[fault.Internal])
	return cmp.Or(hint, number.hint, strings.ReplaceAll(general, "COMMAND", command))
}

// Or gives an error that says nothing of what to do a hint, and returns it.
func Or(err error, hint string) error {
	if f, ok := errors.AsType[*fault.Fault](err); ok && fault.HintOf(err) == "" {
		f.Hint = hint
	}
	return err
}

// byKind is what to do about a fault of which nothing else is known.
var byKind = map[fault.Kind]string{
	fault.Internal: "this is a fault of nacre's own: please report it where you got nacre from, with what nacre version and nacre doctor --json print",
	fault.Usage:    "COMMAND --help has examples, and lists the flags",
	fault.Invalid:  "put right what is named, at the place that is named",
	fault.Denied:   "ask for less; or, if it is meant to be allowed: nacre policy show prints what is, and nacre policy allow adds to it",

	fault.Unsupported: "nacre doctor says what this machine lacks, and what to do about it",
	fault.NotFound:    "look whether it is there, and spelled like that",
	fault.Conflict:    "see what else uses it (nacre ps), and try again once that has ended",
	fault.Exhausted:   "make room, or end something, and try again",
	fault.Tampered:    "find out who changed it before you trust it again; where nobody did, report it where you got nacre from",
	fault.Command:     "look at the program from inside: nacre run -- ls -l PROGRAM, with the same grants; it has to be executable, and for this machine",
	fault.Missing:     "look for the program from inside: nacre run -- ls -l PROGRAM, with the same grants",
	fault.Leftover:    "the next run tries again to take it away; nacre doctor lists what is left",
}

// number is what to do about one of the kernel's errors.
type number struct {
	err    error
	usedUp bool // of what is there: that nobody else knows better
	hint   string
}

// byNumber is the one that an error is of.
func byNumber(err error) number {
	for _, n := range []number{
		{unix.EAGAIN, true, "no more processes can be started: end some, or raise ulimit -u and pids.max of your session's control group"},
		{unix.ENOMEM, true, "there is no more memory: end something, or give your session's control group more"},
		{unix.EMFILE, true, "nacre may open no more files: raise ulimit -n"},
		{unix.ENFILE, true, "this machine may open no more files: see the sysctl fs.file-max"},
		{unix.EFBIG, true, "nacre may write no larger files: raise ulimit -f"},
		{unix.ENOSPC, true, "make room on that disk: df -h and df -i show what is used"},
		{unix.EDQUOT, true, "your quota on that disk is used up: make room"},
		{unix.EROFS, false, "that place is read-only: choose another; $XDG_STATE_HOME, $XDG_CONFIG_HOME and $XDG_CACHE_HOME say where nacre's own files are"},
		{unix.EACCES, false, "you may not do that there: ls -ld shows who may, of the file and of each folder above it"},
		{unix.EPERM, false, "you may not do that there: ls -ld shows whose it is; some things only root may do"},
		{unix.ENOENT, false, "look whether it is there, and spelled like that"},
		{unix.ENOTDIR, false, "a part of the path is no folder: ls -ld shows which"},
		{unix.EISDIR, false, "that is a folder: name a file in it"},
		{unix.EEXIST, false, "remove what is there, or choose another name"},
		{unix.ELOOP, false, "symbolic links lead there: name what they lead to; realpath prints it"},
		{unix.ENAMETOOLONG, false, "choose a shorter path"},
		{unix.ENXIO, false, "nobody reads from there: open it for reading first, or name a file"},
		{unix.EIO, false, "the disk could not be read or written: see dmesg"},
		{unix.ECONNREFUSED, false, "nobody listens there: is it running, and is the address right?"},
		{context.Canceled, false, "it was interrupted: start it again"},
		{context.DeadlineExceeded, false, "it took too long: try again"},
	} {
		if errors.Is(err, n.err) {
			return n
		}
	}
	return number{}
}
