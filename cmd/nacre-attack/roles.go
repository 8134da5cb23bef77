package main

// Roles other than attacker: the host's canary process, another sandbox to be
// reached, and the daemon that tries to outlive its run.

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/signal"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

// victim runs outside. It keeps a secret in its memory, tells its address, and
// reports the harmless signals that it gets, until its standard input closes.
func victim() error {
	secret := []byte(os.Getenv("NACRE_CANARY"))
	if len(secret) == 0 {
		return fmt.Errorf("NACRE_CANARY is not set")
	}
	got := make(chan os.Signal, 16)
	signal.Notify(got, unix.SIGWINCH, unix.SIGCONT)
	go func() {
		for s := range got {
			fmt.Println("signal", unix.SignalName(s.(unix.Signal)))
		}
	}()
	fmt.Printf("ready %d %d\n", uintptr(unsafe.Pointer(&secret[0])), len(secret))
	for end := bufio.NewReader(os.Stdin); ; {
		if _, err := end.ReadByte(); err != nil {
			return nil
		}
	}
}

const siblingFile = "/tmp/nacre-attack-sibling"

// sibling runs in a second sandbox: it offers its secret in every way that
// only its own sandbox should see.
func sibling() error {
	in := bufio.NewScanner(os.Stdin)
	if !in.Scan() {
		return fmt.Errorf("no secret on standard input")
	}
	secret := in.Text()
	os.WriteFile(siblingFile, []byte(secret), 0o644)
	defer os.Remove(siblingFile)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go offer(listener, secret)
	name := fmt.Sprintf("nacre-attack-sibling-%d", time.Now().UnixNano())
	if abstract, err := net.Listen("unix", "@"+name); err == nil {
		go offer(abstract, secret)
	}
	fmt.Printf("ready %d %s\n", listener.Addr().(*net.TCPAddr).Port, name)
	time.AfterFunc(10*time.Minute, func() { os.Exit(0) })
	for in.Scan() {
	}
	return nil
}

func offer(listener net.Listener, secret string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		fmt.Fprintln(conn, secret)
		conn.Close()
	}
}

func reachSibling(c *wire.Config, _ *probe) outcome {
	var d doors
	for network, address := range map[string]string{"tcp": fmt.Sprintf("127.0.0.1:%d", c.SiblingPort), "unix": "@" + c.SiblingAbstract} {
		conn, err := net.DialTimeout(network, address, time.Second)
		if err != nil {
			d.tried(network, rootCause(err))
			continue
		}
		conn.SetDeadline(time.Now().Add(time.Second))
		buffer := make([]byte, 256)
		n, _ := conn.Read(buffer)
		conn.Close()
		if o, ok := stolen(c, "another sandbox by "+network, buffer[:n]); ok {
			return o
		}
	}
	data, err := readSome(siblingFile)
	if o, ok := stolen(c, "another sandbox's /tmp", data); ok {
		return o
	}
	d.tried(siblingFile, err)
	return d.outcome()
}

// linger ignores every signal that it can, and ends by itself after a while.
func linger(string) error {
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE, unix.SIGALRM)
	time.Sleep(30 * time.Second)
	return nil
}
