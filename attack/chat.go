package attack

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"nacre/attack/wire"
)

// chat answers a request below /chat/, where WebSockets are granted: it changes the
// protocol, says the credential in pieces, and looks at what arrives in frames.
// Below /chat/no it does not change, and goes on reading requests.
func (h *host) chat(rw http.ResponseWriter, r *http.Request, id string) {
	if strings.HasPrefix(r.URL.Path, "/chat/no") || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		fmt.Fprintln(rw, "it does not change")
		return
	}
	if r.Header.Get("Sec-Websocket-Extensions") != "" {
		h.world.arrive(id, "the granted host, with an extension of WebSocket")
	}
	c, b, err := rw.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	said := r.Header.Get("Authorization")
	for _, text := range []string{said, base64.StdEncoding.EncodeToString([]byte(said))} {
		half := len(text) / 2
		_, _ = c.Write(bytes.Join([][]byte{frameOf(0x81, text), frameOf(0x01, text[:half]), frameOf(0x89, text), frameOf(0x80, text[half:])}, nil))
	}
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	arrived, _ := io.ReadAll(io.LimitReader(bufio.NewReader(b), 1<<20))
	if strings.Contains(readings(unmasked(arrived)), h.out.Secret) {
		h.world.arrive("egress.placeholder", "the granted host, in a frame")
	}
	if why := unframed(arrived); why != "" {
		if found, ok := wire.FindToken(h.world.config.Run, string(arrived)); ok {
			id = found
		}
		h.world.arrive(id, "the granted host, behind a WebSocket: "+why)
	}
}

// unmasked is what short frames of a program's say, or whatever else they hold.
func unmasked(b []byte) string {
	var all []byte
	for len(b) >= 6 && int(b[1]&0x7f) <= min(125, len(b)-6) {
		n := int(b[1] & 0x7f)
		for i, c := range b[6 : 6+n] {
			all = append(all, c^b[2+i%4])
		}
		b = b[6+n:]
	}
	return string(append(all, b...))
}

// frameOf is a frame as servers send it.
func frameOf(first byte, text string) []byte {
	head := []byte{first, byte(min(len(text), 126))}
	if len(text) > 125 {
		head = binary.BigEndian.AppendUint16(head, uint16(len(text)))
	}
	return append(head, text...)
}

// unframed says what in the bytes after a change of protocol is no frame of a
// program's (RFC 6455, 5).
func unframed(b []byte) string {
	within := false
	for len(b) >= 6 {
		final, kind, length, head := b[0]&0x80 != 0, b[0]&0x0f, int(b[1]&0x7f), 6
		switch {
		case b[0]&0x70 != 0:
			return "a reserved bit"
		case kind > 2 && kind < 8 || kind > 10:
			return "an unknown kind of frame"
		case b[1]&0x80 == 0:
			return "a frame without a mask"
		case kind >= 8 && (!final || length > 125):
			return "a control frame that is long or in pieces"
		case kind < 8 && (kind == 0) != within:
			return "a message in another"
		case length == 126 && len(b) >= 8:
			if length, head = int(binary.BigEndian.Uint16(b[2:])), 8; length < 126 {
				return "a length that is not in its shortest form"
			}
		case length == 127 && len(b) >= 14:
			if length, head = int(binary.BigEndian.Uint64(b[2:])), 14; length < 1<<16 {
				return "a length that is not in its shortest form"
			}
		}
		if kind < 8 {
			within = !final
		}
		if kind == 8 || length > len(b)-head {
			return ""
		}
		b = b[head+length:]
	}
	return ""
}
