package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// watch looks at the stage from outside: listeners that nobody should reach,
// and processes that should not be there.
type watch struct {
	token            string // what the agent tries to send and to plant
	tcp4, tcp6, udp  int    // ports
	socket, abstract string
	closers          []func()
	mu               sync.Mutex
	doors            map[string]bool // where the token arrived
	most             int             // of the agent's processes at once
}

// allowed is the manifest's limit of processes, and what Nacre adds for init.
const allowed = 64 + 16

// newWatch opens the doors and starts a process whose arguments are a secret.
func newWatch(s *stage) (w *watch, err error) {
	w = &watch{token: rand.Text(), doors: map[string]bool{}, abstract: "nacre-demo-" + rand.Text()}
	w.socket = filepath.Join(s.home, "agent.sock")
	if w.tcp4, err = w.listen("tcp4", "tcp4", "127.0.0.1:0"); err != nil {
		return w, err
	}
	w.tcp6, _ = w.listen("tcp6", "tcp6", "[::1]:0") // 0 where there is no IPv6
	if _, err = w.listen("unix", "unix", w.socket); err != nil {
		return w, err
	}
	if _, err = w.listen("abstract", "unix", "@"+w.abstract); err != nil {
		return w, err
	}
	if err = w.listenUDP(); err != nil {
		return w, err
	}
	secret := exec.Command("sleep", "600")
	secret.Args[0] = "sleep-" + s.tokens["process"]
	if err = secret.Start(); err != nil {
		return w, err
	}
	w.closers = append(w.closers, func() { _ = secret.Process.Kill(); _ = secret.Wait() })
	stop := make(chan struct{})
	go w.count(stop)
	w.closers = append(w.closers, func() { close(stop) })
	return w, nil
}

func (w *watch) close() {
	for _, c := range w.closers {
		c()
	}
}

func (w *watch) listen(door, network, address string) (port int, err error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return 0, err
	}
	w.closers = append(w.closers, func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 256)
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
			n, _ := c.Read(b)
			w.heard(door, b[:n])
			c.Close()
		}
	}()
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		port = a.Port
	}
	return port, nil
}

func (w *watch) listenUDP() error {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.closers = append(w.closers, func() { c.Close() })
	w.udp = c.LocalAddr().(*net.UDPAddr).Port
	go func() {
		b := make([]byte, 256)
		for {
			n, _, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			w.heard("udp", b[:n])
		}
	}()
	return nil
}

func (w *watch) heard(door string, b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.doors[door] = w.doors[door] || bytes.Contains(b, []byte(w.token))
}

// arrived tells whether the token came through a door. What was sent a moment
// ago gets the time to arrive.
func (w *watch) arrived(door string) bool {
	for range 10 {
		w.mu.Lock()
		came := w.doors[door]
		w.mu.Unlock()
		if came {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// count samples how many processes of the agent's there are.
func (w *watch) count(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Millisecond):
			n := len(running(w.kit()))
			w.mu.Lock()
			w.most = max(w.most, n)
			w.mu.Unlock()
		}
	}
}

// kit is the name of what attempts are made with, in the agent's home: the word
// by which the agent's processes are known.
func (w *watch) kit() string { return "kit-" + w.token + ".py" }

// crowd is what is wrong with the number of processes seen.
func (w *watch) crowd() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.most > allowed {
		return fmt.Sprintf("%d processes at once", w.most)
	}
	return ""
}

// alive is what is left of the agent's daemon. A daemon that is ending gets a
// moment to do so.
func (w *watch) alive() string {
	for range 20 {
		if len(running(w.token)) == 0 {
			return ""
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Sprintf("process %s still runs", strings.Join(running(w.token), ", "))
}

// running lists the processes with a word in their arguments.
func running(word string) (pids []string) {
	lists, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, list := range lists {
		if pid := filepath.Base(filepath.Dir(list)); pid != fmt.Sprint(os.Getpid()) && has(list, word) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func has(path, word string) bool {
	b, err := os.ReadFile(path)
	return err == nil && bytes.Contains(b, []byte(word))
}
