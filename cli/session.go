package cli

import (
	"context"
	"errors"
	"io"
	"os"

	"nacre"
	"nacre/engine/native"
	"nacre/fault"
	"nacre/localapi"
	"nacre/terminal"
)

// session is one run, from its plan to its end.
type session struct {
	app    *App
	owner  owner
	plan   nacre.Plan
	tty    bool
	events *events

	box   nacre.Sandbox
	ready chan struct{} // closed once box is set, or never will be
	log   *runLog
}

// run starts the plan and stays until it has ended.
func (s *session) run(ctx context.Context) (nacre.Exit, error) {
	engine, audit, err := s.app.engine(s.owner)
	if err != nil {
		return nacre.Exit{}, err
	}
	defer audit.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.ready, s.log = make(chan struct{}), newRunLog(s.owner.logDir())
	defer s.log.close()
	signals := watchSignals(cancel)
	defer signals.close()
	folders := watch(ctx, s.plan)
	defer unwatch(folders)
	box, err := engine.Start(ctx, s.plan, s.streams())
	if err != nil {
		close(s.ready)
		return signals.interrupted(err)
	}
	s.box = box
	close(s.ready)
	signals.forward(box)
	stop, err := s.serve(ctx, engine)
	if err != nil {
		return nacre.Exit{}, errors.Join(err, box.Stop(0))
	}
	defer stop()
	exit, err := s.wait()
	return exit, errors.Join(err, s.tell(audit, engine.Caller, folders))
}

// serve makes the sandbox reachable for ps, exec and the others.
func (s *session) serve(ctx context.Context, engine *native.Engine) (stop func(), err error) {
	s.log.open(s.box.ID())
	record, err := engine.Runs.Find(s.box.ID())
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return func() {}, nil // it has ended already
	}
	if err != nil {
		return nil, err
	}
	s.events.started(record.ID, record.Init)
	listener, err := localapi.Listen(engine.Runs.Socket(record))
	if errors.Is(err, os.ErrNotExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	server := &localapi.Server{Box: s.box, Plan: s.plan, UID: s.owner.uid}
	go server.Serve(ctx, listener)
	return func() { listener.Close() }, nil
}

func (s *session) wait() (nacre.Exit, error) {
	exit, err := s.box.Wait()
	s.events.ended(exit)
	if why := whyEnded(exit, s.plan.Limits); why != "" {
		s.app.note("%s", why)
	}
	return exit, err
}

// streams are the owner's own; what is written is kept for nacre logs too.
func (s *session) streams() nacre.Streams {
	if !s.tty {
		return nacre.Streams{In: s.app.In, Out: io.MultiWriter(s.app.Out, s.log), Err: io.MultiWriter(s.app.Err, s.log)}
	}
	return nacre.Streams{TTY: true, Size: windowOf(s.app.In), Terminal: s.attach}
}

// attach joins the owner's terminal and the program's.
func (s *session) attach(master *os.File, capped func(io.Writer) io.Writer) {
	_ = terminal.Attach(context.Background(), terminal.Options{
		Terminal: s.app.In, Out: s.app.Out, Master: master,
		Limit: func(w io.Writer) io.Writer { return capped(io.MultiWriter(w, s.log)) },
		Kill: func() {
			<-s.ready
			if s.box != nil {
				_ = s.box.Stop(0)
			}
		},
	})
}
