package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"nacre/egress"
)

// gitIntent is what a request means to git, where it is one of git's: FETCH or
// PUSH, with the refs that a push is to (gitprotocol-http(5)). A push's body is
// read as far as that takes, and put back.
func gitIntent(i egress.Intent, r *http.Request) (egress.Intent, bool, error) {
	service := ""
	switch {
	case r.Method == http.MethodGet && strings.HasSuffix(i.Path, "/info/refs"):
		service, _ = strings.CutPrefix(r.URL.RawQuery, "service=")
	case r.Method == http.MethodPost:
		service = i.Path[strings.LastIndexByte(i.Path, '/')+1:]
	}
	switch service {
	case "git-upload-pack":
		i.Method = egress.Fetch
	case "git-receive-pack":
		i.Method = egress.Push
	default:
		return i, false, nil
	}
	if i.Method == egress.Fetch || r.Method == http.MethodGet {
		return i, true, nil
	}
	if encoded(r.Header) != "" {
		return i, true, errors.New("a push whose refs are compressed")
	}
	refs, read, err := pushed(r.Body)
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), r.Body), r.Body}
	i.Refs = refs
	return i, true, err
}

const (
	maxCommands = 1000
	maxLine     = 4096 // of a command: a ref has at most 255 bytes a part
)

// pushed reads the commands of a push: lines of old, new and ref, up to a flush
// (gitprotocol-pack(5)).
func pushed(body io.Reader) (refs []string, read []byte, err error) {
	for range maxCommands {
		line, raw, err := packetLine(body)
		read = append(read, raw...)
		if err != nil {
			return nil, read, err
		}
		if line == nil { // a flush
			return refs, read, nil
		}
		text, features, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), "\x00")
		if slices.Contains(strings.Fields(features), "push-options") {
			return nil, read, errors.New("a push with options, which tell the host to do more than to take refs")
		}
		if shallow, ok := strings.CutPrefix(text, "shallow "); ok && object(shallow) {
			continue
		}
		old, rest, ok := strings.Cut(text, " ")
		new, ref, ok2 := strings.Cut(rest, " ")
		if !ok || !ok2 || !object(old) || !object(new) || !strings.HasPrefix(ref, "refs/") || strings.ContainsAny(ref, " \t\n\x00\\*?[~^:") || strings.Contains(ref, "..") {
			return nil, read, fmt.Errorf("a push whose commands cannot be read: %.100q", text)
		}
		refs = append(refs, ref)
	}
	return nil, read, errors.New("a push to too many refs")
}

// object tells whether a text is an object's name: SHA-1 or SHA-256 in hex.
func object(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// packetLine reads one line with its length before it; nil is a flush.
func packetLine(from io.Reader) (line, raw []byte, err error) {
	head := make([]byte, 4)
	if n, err := io.ReadFull(from, head); err != nil {
		return nil, head[:n], fmt.Errorf("a push that ends too early: %w", err)
	}
	size, err := strconv.ParseUint(string(head), 16, 16)
	switch {
	case err != nil:
		return nil, head, errors.New("a push whose lines cannot be read")
	case size == 0:
		return nil, head, nil
	case size <= 4 || size > maxLine:
		return nil, head, fmt.Errorf("a push with a line of %d bytes", size)
	}
	line = make([]byte, size-4)
	n, err := io.ReadFull(from, line)
	return line, append(head, line[:n]...), err
}
