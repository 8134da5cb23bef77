package cli

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/engine/native"
	"nacre/fault"
	"nacre/gateway/launch"
	"nacre/grant"
	"nacre/install"
	"nacre/manifest"
	"nacre/skill"
	"nacre/toolserver"
)

// server is what a plan for a tool server is made of: its skill asks, and has its own
// folder to read.
func (in *input) server(app *App, o owner, c *grant.Input) error {
	if in.with.skill != "" {
		return fault.New(fault.Usage, "--tool runs a tool server by itself, and --with an agent").
			WithHint("an agent's harness asks for the tools that it gets: docs/AGENTS.md, Tools for an agent")
	}
	if in.agent != "" || len(c.Command) > 0 {
		return fault.New(fault.Usage, "--tool says by itself what runs: there is no --agent and no command with it").
			WithHint("leave them out: nacre run --tool %s", in.tool)
	}
	folder, lock, err := app.skillFolder(o, in.tool)
	if err != nil {
		return err
	}
	s, err := skill.Open(folder)
	if err != nil {
		return err
	}
	t, err := toolserver.Read(folder)
	if err != nil {
		return err
	}
	if c.Manifest, err = toolserver.Manifest(s, t); err != nil {
		return err
	}
	c.Subject.Path, c.Subject.Lock = filepath.Join(folder, skill.CapabilitiesFile), lock
	if lock != "" {
		c.Skill, c.Subject.Digest = []string{lock}, s.Digest
	} else { // which may change while it runs: no rule binds to what it was
		c.Files = append(c.Files, readable(folder, toolserver.Inside(s.Name), "the skill's own folder"))
	}
	if t.URL.Value == "" {
		return nil
	}
	bridge, err := install.Beside(app.Program, "nacre-bridge")
	c.Files = append(c.Files, readable(bridge, toolserver.Bridge, "speaks for a server that speaks HTTP"))
	return err
}

// readable is a place that the owner grants by running a skill.
func readable(path, at, why string) manifest.File {
	return manifest.File{Path: path, At: at, Access: nacre.Read, Reason: why, Origin: nacre.Origin{File: nacre.OriginCommandLine}}
}

// skillFolder is where a skill is, and its entry in the lock: by its name, or by a
// path with a slash in it, which has no entry.
func (app *App) skillFolder(o owner, name string) (folder, lock string, err error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(o.cwd, name)
		}
		folder, err := filepath.EvalSymlinks(name)
		if err != nil {
			return "", "", fault.Wrap(fault.NotFound, err, "there is no folder %s", name)
		}
		return folder, "", nil
	}
	shelf, err := app.shelf(o)
	if err != nil {
		return "", "", err
	}
	_, entry, err := shelf.Skill(name)
	return shelf.Folder(entry), entry.Name, err
}

// serve has the gateway's launcher start tool servers that are skills, under the
// same policy, each with a supervisor of its own.
func (l *live) serve(e *native.Engine) {
	launcher, ok := e.Gateways.(*launch.Launcher)
	if !ok {
		return
	}
	launcher.Skills = func(name string) (*toolserver.Server, error) {
		folder, _, err := l.app.skillFolder(l.owner, name)
		if err != nil {
			return nil, err
		}
		t, err := toolserver.Read(folder)
		if err != nil {
			return nil, err
		}
		return toolserver.Start(name, t.Patience(), func(events string) *exec.Cmd {
			args := []string{"nacre", "run", "--quiet", "--tty=never", "--json-events", events, "--tool", name}
			if l.in.policy != "" {
				args = append(args, "--policy", l.in.policy)
			}
			for _, tier := range l.in.accept {
				args = append(args, "--accept", tier)
			}
			return &exec.Cmd{Path: "/proc/self/exe", Args: args, Env: l.app.Environ()}
		})
	}
}

// farewell is how long a tool server may take to end by itself.
const farewell = time.Second

// untilLeft is the input of a server, at whose end the sandbox is ended too. Whoever
// leaves a socket is noticed also where the server does not read, and while it starts.
func (s *session) untilLeft() io.Reader {
	left := sync.OnceFunc(s.left)
	if st, err := s.app.In.Stat(); err == nil && st.Mode()&os.ModeSocket != 0 {
		go func() {
			abandoned(s.app.In, 0) // who only says nothing more may still hear
			s.cancel()
			left()
		}()
	}
	return &lastReader{s.app.In, left}
}

// abandoned returns once nobody is at the other end of a pipe or a socket any more,
// which is told also while what was said there is not read.
func abandoned(f *os.File, events int16) {
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: events}}
	for err := error(unix.EINTR); err == unix.EINTR; {
		_, err = unix.Poll(fds, -1)
	}
}

// left ends a server that nobody speaks with any more.
func (s *session) left() {
	<-s.ready
	time.Sleep(farewell)
	s.stop(farewell)
}

// lastReader says when there is nothing more to read.
type lastReader struct {
	io.Reader
	left func()
}

func (r *lastReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		go r.left()
	}
	return n, err
}
