package launch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
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
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(args[1]))
		_, err = io.Copy(os.Stdout, c)
		fmt.Println("\nend:", kind(err))
	case "sni": // address, name in the handshake, host of the request
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
