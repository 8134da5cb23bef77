package attack

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"nacre/attack/wire"
)

// maxToken is how much a listener reads from a stranger.
const maxToken = 256

// listen opens the listeners: TCP and UDP on both loopbacks, and Unix sockets
// by abstract name, by path outside and by a blocked name in the folder.
func (w *world) listen() error {
	w.try("tcp4", w.stream("tcp4", "127.0.0.1:0", func(a net.Addr) { w.config.TCP4 = a.(*net.TCPAddr).Port }))
	w.try("tcp6", w.stream("tcp6", "[::1]:0", func(a net.Addr) { w.config.TCP6 = a.(*net.TCPAddr).Port }))
	w.try("udp4", w.packets("udp4", "127.0.0.1:0", func(a net.Addr) { w.config.UDP4 = a.(*net.UDPAddr).Port }))
	w.try("udp6", w.packets("udp6", "[::1]:0", func(a net.Addr) { w.config.UDP6 = a.(*net.UDPAddr).Port }))
	w.config.Abstract = "nacre-attack-" + w.config.Run
	w.try("abstract", w.stream("unix", "@"+w.config.Abstract, nil))
	w.config.Pathname = w.outside + "/agent.sock"
	w.try("pathname", w.stream("unix", w.config.Pathname, nil))
	w.config.Granted = w.config.Folder + "/docker.sock"
	w.try("granted", w.stream("unix", w.folder+"/docker.sock", nil))
	w.environment = append(w.environment, "SSH_AUTH_SOCK="+w.config.Pathname, "GPG_AGENT_INFO="+w.config.Pathname)
	return nil
}

func (w *world) stream(network, address string, told func(net.Addr)) error {
	listener, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	if unix, ok := listener.(*net.UnixListener); ok && address[0] == '/' {
		unix.SetUnlinkOnClose(true)
		// Anybody may connect: only the boundary stands between.
		os.Chmod(address, 0o777)
	}
	if told != nil {
		told(listener.Addr())
	}
	w.closers = append(w.closers, func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go w.hear(network+" "+address, conn)
		}
	}()
	return nil
}

// hear reads one token from a connection and answers a byte.
func (w *world) hear(where string, conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	buffer := make([]byte, maxToken)
	n := 0
	for n < len(buffer) {
		m, err := conn.Read(buffer[n:])
		if n += m; err != nil || m > 0 && buffer[n-1] == '\n' {
			break
		}
	}
	if w.take(where, buffer[:n]) || w.takeToken(where, string(buffer[:n])) {
		io.WriteString(conn, "k")
	}
}

func (w *world) packets(network, address string, told func(net.Addr)) error {
	conn, err := net.ListenPacket(network, address)
	if err != nil {
		return err
	}
	told(conn.LocalAddr())
	w.closers = append(w.closers, func() { conn.Close() })
	go func() {
		buffer := make([]byte, maxToken)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if w.take(network+" "+address, buffer[:n]) || w.takeToken(network+" "+address, string(buffer[:n])) {
				conn.WriteTo([]byte("k"), from)
			}
		}
	}()
	return nil
}

// selfCheck sends a token to every listener and reads every secret, so that a
// canary which is dead on arrival is not taken for a sandbox that holds.
func (w *world) selfCheck() error {
	for _, c := range []struct{ name, network, address string }{
		{"tcp4", "tcp4", fmt.Sprintf("127.0.0.1:%d", w.config.TCP4)}, {"tcp6", "tcp6", fmt.Sprintf("[::1]:%d", w.config.TCP6)},
		{"udp4", "udp4", fmt.Sprintf("127.0.0.1:%d", w.config.UDP4)}, {"udp6", "udp6", fmt.Sprintf("[::1]:%d", w.config.UDP6)},
		{"abstract", "unix", "@" + w.config.Abstract}, {"pathname", "unix", w.config.Pathname}, {"granted", "unix", w.folder + "/docker.sock"},
	} {
		if w.missing[c.name] == nil {
			w.try(c.name, w.selfSend(c.name, c.network, c.address))
		}
	}
	for _, path := range w.config.Secrets {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, ok := w.secretIn(string(data)); !ok {
			return errors.New(path + " does not hold its secret")
		}
	}
	return nil
}

func (w *world) selfSend(name, network, address string) error {
	conn, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	fmt.Fprintf(conn, "%s%s self.%s\n", wire.ArrivalPrefix, w.config.Run, name)
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("the listener %s does not hear the judge itself: %w", name, err)
	}
	return nil
}

func rootErrno(err error) (syscall.Errno, bool) {
	var errno syscall.Errno
	return errno, errors.As(err, &errno)
}
