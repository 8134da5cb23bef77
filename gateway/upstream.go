package gateway

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/proxy"
)

// through connects to an address by way of the owner's proxy, which looks names
// up itself: where they lead is its to judge.
func (d *dialer) through(ctx context.Context, address string) (net.Conn, error) {
	at, err := url.Parse(d.proxy)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	c, err := (&net.Dialer{Resolver: d.resolver}).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errProxy, err)
	}
	ask := d.connect
	if at.Scheme == "socks5" {
		ask = d.socks
	}
	if err := ask(ctx, c, address); err != nil {
		c.Close()
		return nil, fmt.Errorf("%w: %w", errProxy, cmp.Or(ctx.Err(), err))
	}
	return c, nil
}

// socks asks a SOCKS proxy for a connection.
func (d *dialer) socks(ctx context.Context, c net.Conn, address string) error {
	var auth *proxy.Auth
	if user, password, ok := strings.Cut(d.login, ":"); ok {
		auth = &proxy.Auth{User: user, Password: password}
	}
	speaker, err := proxy.SOCKS5("tcp", c.RemoteAddr().String(), auth, nil)
	if err != nil {
		return err
	}
	over, ok := speaker.(interface {
		DialWithConn(context.Context, net.Conn, string, string) (net.Addr, error)
	})
	if !ok {
		return errors.New("SOCKS is not spoken over a connection that is there")
	}
	_, err = over.DialWithConn(ctx, c, "tcp", address)
	return err
}

// connect asks an HTTP proxy for a connection.
func (d *dialer) connect(ctx context.Context, c net.Conn, address string) error {
	defer context.AfterFunc(ctx, func() { c.Close() })()
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if d.login != "" {
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(d.login)))
	}
	if err := r.Write(c); err != nil {
		return err
	}
	from := bufio.NewReaderSize(io.LimitReader(c, maxHeader), 4096)
	answer, err := http.ReadResponse(from, r)
	switch {
	case err != nil:
		return err
	case answer.StatusCode != http.StatusOK:
		return errors.New(answer.Status)
	case from.Buffered() > 0:
		return errors.New("it speaks before it is spoken to")
	}
	return nil
}
