package launch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"nacre/gateway/websocket"
)

// client is what runs inside: it tries one thing and prints what happened.
func client(what string) {
	args := os.Args[1:]
	switch what {
	case "dial": // each address: what a connection to it gives
		for _, address := range args {
			fmt.Println(address, dial(address))
		}
	case "udp":
		for _, address := range args {
			fmt.Println(address, udp(address))
		}
	case "get":
		for _, url := range args {
			fmt.Println(url, get(http.DefaultClient, "GET", url, ""))
		}
	case "raw": // address, what to say: as it is
		c, err := net.DialTimeout("tcp", args[0], 5*time.Second)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = c.SetDeadline(time.Now().Add(3 * time.Second))
		_, _ = io.WriteString(c, strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(args[1]))
		_, err = io.Copy(os.Stdout, c)
		fmt.Println("\nend:", kind(err))
	case "rawtls": // address, name, what to say: inside TLS, as HTTP/1.1
		c, err := tls.Dial("tcp", args[0], &tls.Config{ServerName: args[1], NextProtos: []string{"http/1.1"}})
		if err != nil {
			fmt.Println("handshake:", err)
			return
		}
		_ = c.SetDeadline(time.Now().Add(3 * time.Second))
		_, _ = io.WriteString(c, strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(args[2]))
		_, err = io.Copy(os.Stdout, c)
		fmt.Println("\nend:", kind(err))
	case "server": // certificate and key: serves what is downloaded, until it is told to end
		serveElsewhere(args[0])
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "measure": // url, amount, whom to trust; perhaps a name server, and a proxy
		if args[3] != "" {
			net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, args[3])
			}}
		}
		amount, _ := strconv.ParseInt(args[1], 10, 64)
		pool := x509.NewCertPool()
		pem, _ := os.ReadFile(args[2])
		pool.AppendCertsFromPEM(pem)
		var by func(*http.Request) (*url.URL, error)
		if args[4] != "" {
			by = http.ProxyURL(&url.URL{Scheme: "http", Host: args[4]})
		}
		m, err := measure(by, args[0], pool, amount)
		fmt.Println(m.mbs, m.perSecond, int64(m.p50), int64(m.p99), err)
	case "do": // method, url, body; and so on
		for ; len(args) >= 3; args = args[3:] {
			fmt.Println(args[0], args[1], get(http.DefaultClient, args[0], args[1], args[2]))
		}
	case "stream": // url: when each piece arrives
		r, err := http.Get(args[0])
		if err != nil {
			fmt.Println(err)
			return
		}
		for piece := make([]byte, 100); ; {
			n, err := r.Body.Read(piece)
			fmt.Printf("piece %q\n", piece[:n])
			if n > 0 {
				get(http.DefaultClient, "GET", args[1], "") // the server goes on when it hears of it
			}
			if err != nil {
				break
			}
		}
		fmt.Println("trailer", r.Trailer.Get("Grpc-Status"), r.Proto)
	case "ech":
		list, _ := hex.DecodeString(args[2])
		_, err := tls.Dial("tcp", args[0], &tls.Config{ServerName: args[1], MinVersion: tls.VersionTLS13, EncryptedClientHelloConfigList: list})
		fmt.Println("handshake:", err)
	case "many": // address, how many connections at once
		n, _ := strconv.Atoi(args[1])
		var open []net.Conn
		for range n {
			c, err := net.Dial("tcp", args[0])
			if err != nil {
				fmt.Println("stopped at", len(open), err)
				break
			}
			open = append(open, c)
		}
		fmt.Println("open", len(open), get(http.DefaultClient, "GET", args[2], ""))
	case "names": // suffix, how many names at once
		n, _ := strconv.Atoi(args[1])
		var all sync.WaitGroup
		var wrong atomic.Int64
		for i := range n {
			all.Go(func() {
				if _, err := net.LookupHost(fmt.Sprintf("n%d.%s", i, args[0])); err != nil {
					wrong.Add(1)
					fmt.Println(err)
				}
			})
		}
		all.Wait()
		fmt.Println("wrong", wrong.Load())
	case "chat": // url, what to say; and so on
		for ; len(args) >= 2; args = args[2:] {
			fmt.Println(args[0]+":", converse(args[0], args[1]))
		}
	case "tools": // tool, arguments; and so on
		toolClient(args)
	case "drip", "sequence", "halfclose", "until", "crowd":
		faultClient(what, args)
	case "sni": // address, name in the handshake, host of the request
		if args[1] == "" {
			args[1] = "192.0.2.1" // no name is sent for an address
		}
		c, err := tls.Dial("tcp", args[0], &tls.Config{ServerName: args[1], InsecureSkipVerify: true})
		if err != nil {
			fmt.Println("handshake:", err)
			return
		}
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", args[2])
		_, _ = io.Copy(os.Stdout, c)
	}
}

// dial connects and waits for a word.
func dial(address string) string {
	begun := time.Now()
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err == nil {
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, err = c.Read(make([]byte, 1))
	}
	if time.Since(begun) > 5*time.Second {
		return "late: " + kind(err)
	}
	return kind(err)
}

func udp(address string) string {
	c, err := net.Dial("udp", address)
	if err != nil {
		return kind(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err = c.Write([]byte("x")); err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	return kind(err)
}

func kind(err error) string {
	var dns *net.DNSError
	switch {
	case err == nil:
		return "answered"
	case errors.As(err, &dns):
		return "no such name"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EPERM):
		return "not permitted"
	case errors.Is(err, io.EOF):
		return "closed"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "silence"
	}
	return err.Error()
}

func get(c *http.Client, method, url, body string) string {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	answer, err := c.Do(r)
	if err != nil {
		return kind(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return kind(err)
	}
	return fmt.Sprint(answer.StatusCode, " ", string(text))
}

// converse opens a WebSocket, says one thing and tells what is answered.
func converse(address, text string) string {
	r, err := http.NewRequest("GET", address, nil)
	if err != nil {
		return err.Error()
	}
	r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return kind(err)
	}
	defer answer.Body.Close()
	c, ok := answer.Body.(io.ReadWriter)
	if answer.StatusCode != http.StatusSwitchingProtocols || !ok {
		return answer.Status
	}
	if err := websocket.NewWriter(c, true).Frame(websocket.Text, true, []byte(text)); err != nil {
		return err.Error()
	}
	why := ""
	from := websocket.NewReader(c, false, func(op websocket.Opcode, payload []byte) error {
		if op == websocket.Close {
			why = fmt.Sprintf("ended: %d %s", binary.BigEndian.Uint16(payload), payload[2:])
		}
		return nil
	})
	if _, err := from.Next(); err != nil {
		return why + " " + err.Error()
	}
	said, err := io.ReadAll(from)
	if err != nil {
		return err.Error()
	}
	return string(said)
}
