package pool

import (
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"nacre"
	"nacre/compile"
	"nacre/engine/native"
	"nacre/fault"
	"nacre/idle"
)

// Line is the descriptor on which a member talks to its pool.
const Line = 3

// Serve is what a member does: it builds the sandbox that the pool asks for,
// starts it when told, on this process's own streams, and returns when that has
// ended, or the pool is gone.
func Serve(e *native.Engine) error {
	syscall.CloseOnExec(Line) // no program that is started here is the pool's
	s := server{engine: e, line: os.NewFile(Line, "pool")}
	defer s.line.Close()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)          // a pool that closes our output is no reason to leave the sandbox behind
	signal.Ignore(syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU) // a member that is stopped keeps no time limit and no masks
	in := json.NewDecoder(s.line)
	in.DisallowUnknownFields()
	var first request
	if err := in.Decode(&first); err != nil || first.Plan == nil {
		return err
	}
	e.Caller = first.Caller
	if err := s.warm(*first.Plan); err != nil {
		return err
	}
	for {
		var r request
		if err := in.Decode(&r); err != nil {
			return s.close()
		}
		s.do(r)
	}
}

type server struct {
	engine *native.Engine
	line   *os.File
	saying sync.Mutex
	warmed *native.Warm
	box    nacre.Sandbox
}

func (s *server) say(r reply, err error) {
	s.saying.Lock()
	defer s.saying.Unlock()
	if err != nil {
		r.Kind, r.Error, r.Hint = fault.KindOf(err), err.Error(), fault.HintOf(err)
	}
	_ = json.NewEncoder(s.line).Encode(r) // a pool that is gone is noticed by reading
}

func (s *server) warm(plan nacre.Plan) (err error) {
	if compile.Digest(plan) != plan.Digest {
		err = fault.New(fault.Tampered, "the plan is not the one of its digest")
	} else {
		s.warmed, err = s.engine.Warm(context.Background(), plan)
	}
	if err != nil {
		s.say(reply{}, err)
		return err
	}
	idle.Settle() // it may stand here for long
	s.say(reply{ID: s.warmed.ID()}, nil)
	return nil
}

func (s *server) do(r request) {
	var answer reply
	var err error
	switch {
	case r.Do == "start" && s.box == nil:
		s.start()
		return
	case s.box == nil:
		err = fault.New(fault.Usage, "nothing was started")
	case r.Do == "signal":
		err = s.box.Signal(r.Signal)
	case r.Do == "stop":
		go func() { _ = s.box.Stop(r.Grace) }()
	case r.Do == "usage":
		answer.Usage, err = s.box.Usage()
	case r.Do == "posture":
		answer.Posture, err = s.box.Posture()
	default:
		err = fault.New(fault.Usage, "unknown request %q", r.Do)
	}
	s.say(answer, err)
}

func (s *server) start() {
	box, err := s.warmed.Start(context.Background(), nacre.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	s.box = box
	s.say(reply{}, err)
	if err != nil {
		return
	}
	go func() {
		exit, err := box.Wait()
		os.Stdout.Close()
		os.Stderr.Close()
		s.say(reply{Exit: &exit}, err)
	}()
}

// close ends all, since the pool is gone or wants it so.
func (s *server) close() error {
	if s.box != nil {
		return s.box.Stop(0)
	}
	return s.warmed.Close()
}
