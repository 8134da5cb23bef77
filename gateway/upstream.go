package gateway

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/proxy"
)

// through connects to an address by way of the owner's proxy, which looks names
// up itself: where they lead is its to judge.
func (d *dialer) through(ctx context.Context, address string) (net.Conn, error) {
	at, err := url.Parse(d.proxy)
	if err != nil {
		return nil, err
	}
	outside := &net.Dialer{Timeout: connecting, Resolver: d.resolver}
	if at.Scheme == "socks5" {
		var auth *proxy.Auth
		if user, password, ok := strings.Cut(d.login, ":"); ok {
			auth = &proxy.Auth{User: user, Password: password}
		}
		socks, err := proxy.SOCKS5("tcp", at.Host, auth, outside)
		if err != nil {
			return nil, err
		}
		return socks.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
	}
	c, err := outside.DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil, fmt.Errorf("the owner's proxy: %w", err)
	}
	if err := d.connect(c, address); err != nil {
		c.Close()
		return nil, fmt.Errorf("the owner's proxy: %w", err)
	}
	return c, nil
}

// connect asks an HTTP proxy for a connection.
func (d *dialer) connect(c net.Conn, address string) error {
	_ = c.SetDeadline(time.Now().Add(connecting))
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if d.login != "" {
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(d.login)))
	}
	if err := r.Write(c); err != nil {
		return err
	}
	from := bufio.NewReaderSize(c, 4096)
	answer, err := http.ReadResponse(from, r)
	switch {
	case err != nil:
		return err
	case answer.StatusCode != http.StatusOK:
		return errors.New(answer.Status)
	case from.Buffered() > 0:
		return errors.New("it speaks before it is spoken to")
	}
	return c.SetDeadline(time.Time{})
}
