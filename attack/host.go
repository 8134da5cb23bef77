package attack

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"nacre/attack/wire"
)

// host is the server that a sandbox with a network is granted. It looks at what
// arrives as the most careless server would read it.
type host struct {
	world       *world
	out         *Outward
	certificate tls.Certificate
}

// serve opens one port. Where modern is false it speaks HTTP/1.1 only, and sees
// every byte of it.
func (h *host) serve(modern bool) (port int, err error) {
	l, err := net.Listen("tcp4", h.out.Address+":0")
	if err != nil {
		return 0, err
	}
	port = l.Addr().(*net.TCPAddr).Port
	config := &tls.Config{Certificates: []tls.Certificate{h.certificate}, NextProtos: []string{"http/1.1"}, GetConfigForClient: h.greeted}
	s := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { h.request(port, rw, r) }), TLSConfig: config,
		ErrorLog: log.New(io.Discard, "", 0), ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, recordingKey{}, c)
		}}
	h.world.closers = append(h.world.closers, func() { s.Close() })
	if modern {
		config.NextProtos = []string{"h2", "http/1.1"}
		go func() { _ = s.ServeTLS(l, "", "") }()
	} else {
		go func() { _ = s.Serve(recordings{tls.NewListener(l, config)}) }()
	}
	return port, nil
}

// greeted looks at the name in a handshake.
func (h *host) greeted(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	switch hello.ServerName {
	case h.out.Host, h.out.Second:
	case h.out.Rebound:
		h.world.arrive("egress.rebinding", "the address that its name was changed to")
	default:
		h.world.arrive("egress.fronting", fmt.Sprintf("the granted host, as %.100q", hello.ServerName))
	}
	return nil, nil
}

// credentials are the places in which a program would put a key of its own.
var credentials = []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Goog-Api-Key", "Private-Token"}

// overrides are headers by which servers let a request mean another one.
var overrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url", "X-Original-Uri"}

// request judges one request, and answers as the probes need it.
func (h *host) request(port int, rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var head bytes.Buffer
	_ = r.Header.Write(&head)
	_ = r.Trailer.Write(&head)
	id, marked := wire.FindToken(h.world.config.Run, r.Method+" "+r.Host+" "+r.RequestURI+"\n"+head.String()+"\n"+string(body))
	chatting := r.Method == http.MethodGet && strings.HasPrefix(careless(r.RequestURI), "/chat/") && r.Host == net.JoinHostPort(h.out.Host, strconv.Itoa(port))
	if why := h.unlawful(port, r); why != "" && !chatting {
		if !marked {
			id = "egress.granted-host"
		}
		h.world.arrive(id, "the granted host, "+why)
		return
	}
	h.misplaced(r, head.String()+"\n"+string(body))
	for _, where := range []http.Header{r.Header, r.Trailer} {
		for _, name := range credentials {
			if id, ok := wire.FindToken(h.world.config.Run, decoded(where.Get(name))); ok {
				h.world.arrive(id, "the granted host, in "+name)
			}
		}
	}
	for name, values := range r.URL.Query() {
		if id, ok := wire.FindToken(h.world.config.Run, strings.Join(values, " ")); ok && name == "access_token" {
			h.world.arrive(id, "the granted host, in the query")
		}
	}
	if chatting {
		h.chat(rw, r, id)
		return
	}
	h.answer(rw, r, id, string(body))
}

// misplaced looks for the credential anywhere but in its place: what stands in for it
// inside makes way for it nowhere else.
func (h *host) misplaced(r *http.Request, said string) {
	own := "Authorization: " + r.Header.Get("Authorization")
	place := "the second host"
	if !strings.HasPrefix(r.Host, h.out.Second+":") {
		said, place = strings.Replace(said, own, "", 1), "the granted host, out of its place"
	}
	if strings.Contains(readings(r.RequestURI+"\n"+said), h.out.Secret) {
		h.world.arrive("egress.placeholder", place)
	}
}

// readings are a text and what is coded in its words.
func readings(text string) string {
	all := text
	for word := range strings.FieldsFuncSeq(text, func(c rune) bool { return strings.ContainsRune(" \t\r\n\"/?&=", c) }) {
		for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString} {
			if plain, err := decode(word); err == nil {
				all += "\n" + string(plain)
			}
		}
		if plain, err := url.QueryUnescape(word); err == nil {
			all += "\n" + plain
		}
	}
	return all
}

// decoded is a credential, and what is in it where it is basic.
func decoded(value string) string {
	if _, text, ok := strings.Cut(value, " "); ok {
		plain, _ := base64.StdEncoding.DecodeString(text)
		return value + " " + string(plain)
	}
	return value
}

// unlawful says what is wrong with a request; nothing of the kind may arrive.
func (h *host) unlawful(port int, r *http.Request) string {
	if c, ok := r.Context().Value(recordingKey{}).(*recording); ok {
		if why := odd(c.head()); why != "" {
			return fmt.Sprintf("%s in %.100q", why, r.RequestURI)
		}
	}
	switch {
	case r.Host != net.JoinHostPort(h.out.Host, strconv.Itoa(port)) && r.Host != net.JoinHostPort(h.out.Second, strconv.Itoa(port)):
		return fmt.Sprintf("for %.100q", r.Host)
	case !slices.Contains([]string{"GET", "HEAD", "POST"}, r.Method):
		return fmt.Sprintf("with the method %.20q", r.Method)
	case !strings.HasPrefix(r.RequestURI, "/") || !strings.HasPrefix(careless(r.RequestURI), "/open/"):
		return fmt.Sprintf("for the path %.200q", r.RequestURI)
	case r.Header.Get("Upgrade") != "" || r.Header.Get("Http2-Settings") != "":
		return "with an upgrade"
	}
	for _, name := range overrides {
		if r.Header.Get(name) != "" {
			return "with " + name
		}
	}
	return ""
}

// careless reads a path as a server might that decodes more than once, drops
// parameters and takes a backslash for a slash.
func careless(uri string) string {
	p, _, _ := strings.Cut(uri, "?")
	for range 3 {
		if plain, err := url.PathUnescape(p); err == nil {
			p = plain
		}
	}
	segments := strings.Split(strings.ReplaceAll(p, `\`, "/"), "/")
	for i, s := range segments {
		s, _, _ = strings.Cut(s, ";")
		segments[i], _, _ = strings.Cut(s, "\x00")
	}
	return path.Clean(strings.Join(segments, "/")) + "/"
}

// answer does what the path below /open/ says.
func (h *host) answer(rw http.ResponseWriter, r *http.Request, id, body string) {
	said := r.Header.Get("Authorization")
	switch strings.TrimPrefix(r.URL.Path, "/open/") {
	case "hello":
		h.world.reach(id)
		fmt.Fprintln(rw, "reached")
	case "redirect":
		rw.Header().Set("Location", r.URL.Query().Get("to"))
		rw.Header().Set("Refresh", "0; url="+r.URL.Query().Get("to"))
		rw.Header().Set("Alt-Svc", `h2="`+h.out.Other+`:443"`)
		code, _ := strconv.Atoi(r.URL.Query().Get("code"))
		rw.WriteHeader(min(max(code, 300), 399))
	case "echo":
		fmt.Fprintln(rw, r.RequestURI, r.Header, r.Trailer, body)
	case "bomb":
		rw.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(rw, gzip.BestSpeed)
		_, _ = io.CopyN(z, zeros{}, 256<<20)
		z.Close()
	case "reflect":
		rw.Header().Set("X-Reflected", said)
		rw.Header().Set("Location", "/open/"+said)
		rw.Header().Set("Trailer", "X-Last")
		fmt.Fprintf(rw, "%s\n%s\n%s\n%q\n%s\n", said, base64.StdEncoding.EncodeToString([]byte(said)), hex.EncodeToString([]byte(said)), said, url.QueryEscape(said))
		for i := range said {
			_, _ = io.WriteString(rw, said[i:i+1])
			rw.(http.Flusher).Flush()
		}
		rw.Header().Set("X-Last", said)
	case "reflect-compressed":
		rw.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(rw)
		fmt.Fprintln(z, said)
		z.Close()
	default:
		fmt.Fprintln(rw, "ok")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type recordingKey struct{}

// recordings keeps what is read from each connection.
type recordings struct{ net.Listener }

func (l recordings) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &recording{Conn: c}, nil
}

type recording struct {
	net.Conn
	mu  sync.Mutex
	all []byte
}

// maxRecorded bounds what is kept of one request.
const maxRecorded = 256 << 10

func (c *recording) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) < maxRecorded {
		c.all = append(c.all, p[:n]...)
	}
	return n, err
}

// head is the head of the request that is being served; the next begins anew.
func (c *recording) head() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, _, _ := bytes.Cut(c.all, []byte("\r\n\r\n"))
	c.all = nil
	return head
}

// odd says what in a head is read in more than one way.
func odd(head []byte) string {
	lengths, codings := 0, 0
	for i, line := range bytes.Split(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.ContainsAny(line, "\r\n\x00"):
			return "a bare end of line"
		case i > 0 && (bytes.HasPrefix(line, []byte(" ")) || bytes.HasPrefix(line, []byte("\t"))):
			return "a folded line"
		case i > 0 && bytes.ContainsAny(name, " \t"):
			return "a space before a colon"
		case bytes.EqualFold(name, []byte("Content-Length")):
			if lengths++; strings.Trim(string(bytes.TrimSpace(value)), "0123456789") != "" {
				return "a length that is no number"
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			if codings++; string(bytes.TrimSpace(value)) != "chunked" {
				return "a coding that is not known"
			}
		}
	}
	if lengths+codings > 1 {
		return "two lengths"
	}
	return ""
}
