package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// console is a program on a terminal of ours, as an owner would sit before it.
type console struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	cmd    *exec.Cmd
	ended  chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
}

// sit starts a program of this test's in a folder, on a new terminal.
func sit(t *testing.T, dir string, command ...string) *console {
	t.Helper()
	c := &console{t: t, ended: make(chan struct{})}
	c.open()
	path, err := exec.LookPath(command[0])
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	c.cmd = exec.Command(path, command[1:]...)
	c.cmd.Dir = dir
	c.cmd.Env = append(os.Environ(), "HOME="+home, "XDG_RUNTIME_DIR="+t.TempDir(), "XDG_STATE_HOME=", "XDG_CONFIG_HOME=", "TERM=xterm")
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = c.slave, c.slave, c.slave
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go c.read()
	go func() { _ = c.cmd.Wait(); close(c.ended) }()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		<-c.ended
		c.slave.Close()
		c.master.Close()
	})
	return c
}

func (c *console) open() {
	c.t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		c.t.Skipf("needs a pseudo-terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.master = os.NewFile(uintptr(fd), "master")
	if c.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		c.t.Fatal(err)
	}
	c.size(30, 100)
}

func (c *console) size(rows, columns uint16) {
	c.t.Helper()
	if err := unix.IoctlSetWinsize(int(c.slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *console) read() {
	buf := make([]byte, 4096)
	for {
		n, err := c.master.Read(buf)
		c.mu.Lock()
		c.out.Write(buf[:n])
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *console) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

// patience is how long anything may take on a busy machine.
const patience = 20 * time.Second

func (c *console) expect(want string) {
	c.t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(c.text(), want); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("never showed %q, but:\n%s", want, c.text())
		}
	}
}

func (c *console) press(keys string) {
	c.t.Helper()
	if _, err := c.master.WriteString(keys); err != nil {
		c.t.Fatal(err)
	}
}

// end waits for the program's end and returns its exit code.
func (c *console) end() int {
	c.t.Helper()
	select {
	case <-c.ended:
		return c.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		c.t.Fatalf("did not end:\n%s", c.text())
		return -1
	}
}

// folder is a folder with a file in it, by its real path.
func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "project")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "canary"), []byte("hello from outside\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAskedForTheFolder(t *testing.T) {
	for _, c := range []struct{ name, answer, script, want string }{
		{"read", "r\n", "cat canary; touch new || echo kept", "kept"},
		{"write", "w\n", "cat canary; touch new && echo made", "made"},
		{"none by default", "\n", "ls -a /work; echo listed", "listed"},
		{"nonsense is asked again", "y\nyes\nr\n", "cat canary; touch new || echo kept", "kept"},
		{"nonsense is none", "what?\ny\ny\n", "ls -a /work; echo listed", "listed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t)
			con := sit(t, dir, "sandbox", "--", "sh", "-c", c.script)
			con.expect("Grant the current folder, " + dir + ",")
			con.expect("[r]ead / [w]rite / [N]one: ")
			con.press(c.answer)
			con.expect(c.want)
			con.end()
			if got, granted := strings.Contains(con.text(), "hello from outside"), strings.HasSuffix(c.answer, "r\n") || c.answer == "w\n"; got != granted {
				t.Errorf("granted %v, expected %v:\n%s", got, granted, con.text())
			}
		})
	}
	t.Run("blocked", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), ".ssh")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		con := sit(t, dir, "sandbox", "--", "echo", "ran")
		con.expect("the current folder is not granted: the name is blocked")
		con.expect("ran")
		if code := con.end(); code != 0 || strings.Contains(con.text(), "[r]ead") {
			t.Errorf("code %d:\n%s", code, con.text())
		}
	})
}

func TestKeysAndSizes(t *testing.T) {
	con := sit(t, folder(t), "sandbox", "--files", ".", "--", "sh", "-c",
		`stty size; trap 'stty size' WINCH; stty raw -echo; echo ready; dd bs=1 count=1 2>/dev/null | od -An -tx1; `+
			`stty sane; echo waiting; while :; do sleep 0.1; done`)
	con.expect("30 100")
	con.expect("ready")
	con.press("\x03")
	con.expect(" 03")
	con.expect("waiting")
	con.size(41, 121)
	con.expect("41 121")
	con.press("\x1d\x1d\x1d")
	if code := con.end(); code < 128 {
		t.Errorf("code %d after Ctrl-] three times", code)
	}
	con.expect("nacre: ended: it was stopped")
}

func TestCtrlCInterrupts(t *testing.T) {
	con := sit(t, folder(t), "sandbox", "--files", ".", "--", "sh", "-c", "echo ready; exec sleep 60")
	con.expect("ready")
	con.press("\x03") // the sandbox's own terminal makes a signal of it
	if code := con.end(); code != 130 {
		t.Errorf("code %d, expected 130", code)
	}
}

func TestTerminalIsPutBack(t *testing.T) {
	con := sit(t, folder(t), "sandbox", "--files", ".", "--", "sh", "-c", "exit 4")
	before, err := unix.IoctlGetTermios(int(con.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if code := con.end(); code != 4 {
		t.Errorf("code %d, expected 4:\n%s", code, con.text())
	}
	after, err := unix.IoctlGetTermios(int(con.slave.Fd()), unix.TCGETS)
	if err != nil || after.Lflag&unix.ICANON == 0 || after.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal stays raw: %+v, before %+v, %v", after, before, err)
	}
}

func TestTerminatedOnATerminal(t *testing.T) {
	con := sit(t, folder(t), "sandbox", "--files", ".", "--", "sh", "-c", "echo ready; exec sleep 60")
	con.expect("ready")
	if err := con.cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := con.end(); code != 128+int(unix.SIGTERM) && code != 128+int(unix.SIGHUP) {
		t.Errorf("code %d:\n%s", code, con.text())
	}
	after, err := unix.IoctlGetTermios(int(con.slave.Fd()), unix.TCGETS)
	if err != nil || after.Lflag&unix.ICANON == 0 {
		t.Errorf("the terminal stays raw: %+v, %v", after, err)
	}
}

func TestFullScreen(t *testing.T) {
	for program, args := range map[string][]string{
		"less": {"canary"}, "vim": {"-u", "NONE", "canary"}, "vi": {"canary"},
	} {
		t.Run(program, func(t *testing.T) {
			if _, err := exec.LookPath(program); err != nil {
				t.Skip("needs " + program)
			}
			con := sit(t, folder(t), append([]string{"sandbox", "--env", "TERM", "--files", ".", "--", program}, args...)...)
			con.expect("hello from outside")
			con.press(map[bool]string{true: "q", false: ":q!\r"}[program == "less"])
			if code := con.end(); code != 0 {
				t.Errorf("code %d:\n%q", code, con.text())
			}
		})
	}
}

// TestExecOnATerminalIsCapped: what a further program prints on a terminal of its
// own counts against the plan's limit, as the main program's does.
func TestExecOnATerminalIsCapped(t *testing.T) {
	con := sit(t, folder(t), "sh", "-c",
		`sandbox --name cap-$$ --limit output=64KiB --files . -- sh -c 'exec sleep 60' < /dev/null > log 2>&1 & run=$!; `+
			`n=0; until nacre stats cap-$$ > /dev/null 2>&1; do n=$((n+1)); [ $n -gt 200 ] && exit 9; sleep 0.05; done; `+
			`nacre exec -t cap-$$ -- yes flooded; echo exec $?; wait $run; echo run $?; cat log`)
	con.expect("run 137")
	con.expect("output-limit")
	con.end()
	if n := strings.Count(con.text(), "flooded"); n == 0 || n > 1+64<<10/len("flooded\r\n") {
		t.Errorf("%d lines came through a limit of 64 KiB", n)
	}
}

// TestExecHungUp: Ctrl-] three times hangs up, and the program's terminal does
// so too.
func TestExecHungUp(t *testing.T) {
	con := sit(t, folder(t), "sh", "-c",
		`sandbox --name hup-$$ --files .:write -- sleep 60 < /dev/null > log 2>&1 & `+
			`n=0; until nacre stats hup-$$ > /dev/null 2>&1; do n=$((n+1)); [ $n -gt 200 ] && exit 9; sleep 0.05; done; `+
			`nacre exec -t hup-$$ -- sh -c 'trap "echo hung up > seen; exit" HUP; cd /work/*; stty size; sleep 60 & wait'; `+
			`until grep -q 'hung up' seen; do n=$((n+1)); [ $n -gt 400 ] && exit 8; sleep 0.05; done; echo seen $?; nacre stop hup-$$`)
	con.expect("30 100")
	con.press("\x1d\x1d\x1d")
	con.expect("seen 0")
	con.end()
}

// TestExecResized: a further program hears of a new size of the terminal.
func TestExecResized(t *testing.T) {
	con := sit(t, folder(t), "sh", "-c",
		`sandbox --name size-$$ --files . -- sleep 60 < /dev/null > log 2>&1 & `+
			`n=0; until nacre stats size-$$ > /dev/null 2>&1; do n=$((n+1)); [ $n -gt 200 ] && exit 9; sleep 0.05; done; `+
			`nacre exec -t size-$$ -- sh -c 'trap "stty size; exit" WINCH; stty size; sleep 60 & wait'; nacre stop size-$$`)
	con.expect("30 100")
	con.size(41, 123)
	con.expect("41 123")
	con.end()
}

func TestExecOnATerminal(t *testing.T) {
	dir := folder(t)
	con := sit(t, dir, "sh", "-c",
		`sandbox --name tty-$$ --files . -- sh -c 'echo begun; exec sleep 60' < /dev/null > log 2>&1 & `+
			`n=0; until nacre stats tty-$$ > /dev/null 2>&1; do n=$((n+1)); [ $n -gt 200 ] && exit 9; sleep 0.05; done; `+
			`nacre exec -t tty-$$ -- sh -c 'tty; stty size; read line; echo got $line; exit 6'; echo code $?; nacre stop tty-$$`)
	con.expect("30 100")
	con.press("typed\n")
	con.expect("got typed")
	con.expect("code 6")
	if code := con.end(); code != 0 {
		t.Errorf("code %d:\n%s", code, con.text())
	}
	if text := con.text(); !strings.Contains(text, "/dev/pts/") && !strings.Contains(text, "/dev/tty") {
		t.Errorf("no terminal of its own:\n%s", text)
	}
}
