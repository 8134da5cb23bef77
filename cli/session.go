package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"nacre"
	"nacre/compile"
	"nacre/engine/native"
	"nacre/fault"
	"nacre/gateway/launch"
	"nacre/idle"
	"nacre/learn"
	"nacre/localapi"
	"nacre/runs"
	"nacre/terminal"
)

// session is one run, from its plan to its end.
type session struct {
	app    *App
	owner  owner
	plan   nacre.Plan
	name   string // the owner's, if any
	tty    bool
	quiet  bool
	events *events
	live   *live
	learn  *learn.Log // where it is run to see what it needs
	asking *asking    // the owner, while it learns; nil: nobody
	server bool       // it serves whoever is at its input, and ends with that
	apart  bool       // what it prints goes where errors go

	keeping bool           // a home is kept at its end
	noInput bool           // it has nothing to read
	out     io.Writer      // where what it prints goes, in place of the owner's output
	given   *nacre.Streams // what it reads and writes, where that is not the owner's own

	listener *net.UnixListener // of the control socket
	log      *runLog
	heard    *heard
	masks    *maskNews
	turned   *turnedAway
	cancel   context.CancelFunc // of the start
	box      nacre.Sandbox
	ready    chan struct{} // closed once box is set, or never will be
	over     []func()      // brings the owner's terminal back
}

// run starts the plan and stays until it has ended.
func (s *session) run(ctx context.Context) (nacre.Exit, error) {
	engine, audit, err := s.app.engine(s.owner)
	if err != nil {
		return nacre.Exit{}, err
	}
	defer audit.Close()
	defer s.app.keepAudit(context.WithoutCancel(ctx), s.owner)
	if err := s.app.upstream(s.owner, engine, s.live.asked.Ceiling, s.live.asked.Policy); err != nil {
		return nacre.Exit{}, s.app.refused(s.owner, s.live.asked, err)
	}
	engine.Alias = s.name
	s.live.serve(engine)
	if s.learn != nil {
		if err := learning(engine, s.learn, s.asking); err != nil {
			return nacre.Exit{}, err
		}
	}
	s.hear(engine)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.cancel = cancel
	s.log = newRunLog(s.owner.logDir())
	if s.ready == nil {
		s.ready = make(chan struct{})
	}
	defer s.closeLog()
	signals := watchSignals(cancel)
	defer signals.close()
	engine.Registered = func(r runs.Record) (err error) {
		s.log.open(r.ID, r.Name)
		s.asking.begin(s, r.ID)
		s.listener, err = localapi.Listen(engine.Runs.Socket(r))
		return err
	}
	folders := watch(ctx, s.plan)
	defer unwatch(folders)
	box, err := s.start(ctx, engine)
	s.box = box
	close(s.ready)
	if err != nil {
		s.masks.tell(s.app)
		return signals.interrupted(notStarted(launch.Lacking(err), s.plan))
	}
	defer time.AfterFunc(settling, idle.Settle).Stop()
	signals.forward(s.stoppable())
	took := scanned(s.plan, box)
	s.events.started(box, took)
	if took >= slowScan {
		s.app.note("looking for blocked names in the granted folders took %.1f s", took.Seconds())
	}
	defer s.serve(ctx)()
	go s.live.watch(ctx, s.recorder(engine))
	exit, err := s.wait()
	s.tellEnd()
	return exit, errors.Join(err, s.tell(audit, engine.Caller, folders))
}

// tellEnd gives the terminal back and says what the run was not let do, and why.
func (s *session) tellEnd() {
	for _, done := range s.over {
		done()
	}
	s.tellDenied()
	s.tellTurned()
	s.heard.tell()
	if left := s.live.standing().left; left != nil {
		s.app.note("the policy has changed meanwhile: only a new start gives it %s", strings.Join(left, "; "))
	}
}

// hear has the session told of what is recorded, and of the gateway.
func (s *session) hear(engine *native.Engine) {
	s.heard = &heard{Recorder: engine.Audit, app: s.app, events: s.events}
	s.turned = &turnedAway{Recorder: s.heard, live: s.live}
	if l, ok := engine.Gateways.(*launch.Launcher); ok {
		l.Opened = func(g launch.Changeable) { s.live.gateway = g }
	}
	s.masks = &maskNews{Recorder: s.turned, events: s.events}
	engine.Audit = s.masks
	if s.asking != nil {
		s.asking.record = s.recorder(engine)
	}
}

// recorder writes events about the sandbox that the engine does not see.
func (s *session) recorder(engine *native.Engine) func(nacre.Event) error {
	return func(e nacre.Event) error {
		e.Sandbox, e.Subject, e.Caller = s.box.ID(), s.plan.Subject.String(), engine.Caller
		return engine.Audit.Record(context.Background(), e)
	}
}

// notStarted names the command that was not started, and tells a command that is not
// there from a folder that is not: the kernel's answer is the same. With an image of its
// own that cannot be told from outside, and both are named.
func notStarted(err error, p nacre.Plan) error {
	kind, hint := fault.KindOf(err), fault.HintOf(err)
	switch {
	case kind == fault.Command && strings.HasPrefix(err.Error(), "the command"):
	case kind != fault.Missing:
		return err
	case p.Workdir != compile.Home && ofHost(p) && !granted(p, p.Workdir):
		return fault.New(fault.Missing, "%s: there is no folder %s in the sandbox to start in", p.Command[0], p.Workdir).
			WithHint("--workdir, or workdir in the manifest, names a folder as it is called inside: nacre plan shows them")
	case p.Workdir != compile.Home:
		hint += "; or there is no folder " + p.Workdir + " to start in"
	}
	named := fault.New(kind, "%s: %s", p.Command[0], err)
	named.Hint = hint
	return named
}

// granted tells whether a folder is one of those that a plan grants, or below one.
func granted(p nacre.Plan, folder string) bool {
	return slices.ContainsFunc(p.Files, func(f nacre.FileGrant) bool { return folder == f.Inside || strings.HasPrefix(folder, f.Inside+"/") })
}

// ofHost tells whether a command is one of the host's programs that every sandbox without
// an image sees.
func ofHost(p nacre.Plan) bool {
	if p.Image.Kind != nacre.ImageHost || strings.Contains(p.Command[0], "/") {
		return false
	}
	return slices.ContainsFunc([]string{"/usr/local/bin", "/usr/bin", "/usr/sbin"}, func(folder string) bool {
		st, err := os.Stat(filepath.Join(folder, p.Command[0]))
		return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
	})
}

// settling is how long a run takes to be one that stays: from then on it is to
// hold no more memory than watching takes.
const settling = time.Second

// stop ends the sandbox, if there is one; before that is known, it waits.
func (s *session) stop(grace time.Duration) {
	<-s.ready
	if s.box != nil {
		_ = s.stoppable().Stop(grace)
	}
}

func (s *session) close() {
	if s.listener != nil {
		s.listener.Close()
	}
}

// serve answers ps, exec and the others, until what it returns is called.
func (s *session) serve(ctx context.Context) (stop func()) {
	server := &localapi.Server{Box: s.stoppable(), Plan: func() nacre.Plan { return s.live.standing().plan }, UID: s.owner.uid}
	if s.asking != nil {
		server.Asks = s.asking
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(ctx, s.listener)
	}()
	return func() {
		s.close()
		select {
		case <-served:
		case <-time.After(lastWords):
		}
	}
}

// lastWords is how long somebody who asked something may take to hear that the
// sandbox has ended.
const lastWords = time.Second

func (s *session) wait() (nacre.Exit, error) {
	say := s.inTime()
	exit, err := s.box.Wait()
	say(&exit)
	s.events.ended(exit)
	s.masks.tell(s.app)
	if why := whyEnded(exit, s.plan.Limits); why != "" {
		s.app.note("%s", why)
	}
	if exit.OOMKills > 0 && exit.Reason != "memory-limit" {
		s.app.note("%s", starved(exit.OOMKills, s.plan.Limits))
	}
	return exit, err
}

func (s *session) closeLog() {
	if err := s.log.close(); err != nil {
		s.app.note("%v", err)
	}
}

// streams are the owner's own; what is written is kept for nacre logs too.
func (s *session) streams() nacre.Streams {
	if s.given != nil {
		return *s.given
	}
	if s.apart {
		return nacre.Streams{In: s.app.In, Out: s.shown(s.app.Err), Err: s.shown(s.app.Err)}
	}
	if s.tty && !s.server {
		return nacre.Streams{TTY: true, Size: windowOf(s.app.In), Terminal: s.attach}
	}
	streams := nacre.Streams{In: s.app.In, Err: s.shown(s.app.Err)}
	if s.out != nil {
		streams.Out = io.MultiWriter(s.out, s.log)
	} else {
		streams.Out = s.shown(s.app.Out)
	}
	switch {
	case s.noInput:
		streams.In = nil
	case s.server:
		streams.In = s.untilLeft()
	}
	return streams
}

// shown is one of the owner's files, which may be a terminal, as the program's output is
// written to it.
func (s *session) shown(f *os.File) io.Writer {
	w, done := terminal.Guarded(f)
	s.over = append(s.over, done)
	return io.MultiWriter(w, s.log)
}

// attach joins the owner's terminal and the program's.
func (s *session) attach(ctx context.Context, master *os.File, capped func(io.Writer) io.Writer) {
	_ = terminal.Attach(ctx, terminal.Options{
		Terminal: s.app.In, Out: s.app.Out, Master: master,
		Limit: func(w io.Writer) io.Writer { return capped(io.MultiWriter(w, s.log)) },
		Kill:  func() { s.stop(0) },
	})
}
