package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// Protocol is the name by which a request asks for it.
const Protocol = "websocket"

// Asked checks that a request asks for a WebSocket in the one way that there is
// (RFC 6455, 4.1). What a server might read otherwise is refused: it might not
// change, and its reader would then take frames for requests.
func Asked(r *http.Request) error {
	key, err := base64.StdEncoding.Strict().DecodeString(r.Header.Get("Sec-Websocket-Key"))
	switch {
	case r.ProtoMajor != 1 || r.ProtoMinor != 1:
		return errors.New("a WebSocket begins in HTTP/1.1")
	case r.Method != http.MethodGet || r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return errors.New("a WebSocket begins with GET and no body")
	case !only(r.Header, "Upgrade", Protocol) || !upgrading(r.Header):
		return errors.New("the request changes the protocol in a way that has two readings")
	case !only(r.Header, "Sec-Websocket-Version", "13"):
		return errors.New("only version 13 of WebSocket is spoken")
	case err != nil || len(key) != 16 || len(r.Header["Sec-Websocket-Key"]) != 1:
		return errors.New("the Sec-WebSocket-Key is none")
	}
	return nil
}

// Agreed checks that a server has changed to what the request asked for, and to
// nothing besides (RFC 6455, 4.2.2).
func Agreed(asked, answer http.Header) error {
	sum := sha1.Sum([]byte(asked.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	chosen := answer.Values("Sec-Websocket-Protocol")
	switch {
	case !only(answer, "Upgrade", Protocol) || !upgrading(answer):
		return errors.New("the server changes to another protocol than it was asked for")
	case answer.Get("Sec-Websocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		return errors.New("the server has not understood that it was asked for a WebSocket")
	case answer.Get("Sec-Websocket-Extensions") != "":
		return errors.New("the server uses an extension of WebSocket that nobody offered")
	case len(chosen) > 1 || len(chosen) == 1 && !slices.Contains(list(asked.Values("Sec-Websocket-Protocol")), chosen[0]):
		return errors.New("the server chooses a subprotocol that nobody offered")
	}
	return nil
}

// only tells whether a header is there once and has that value, in any case.
func only(h http.Header, name, value string) bool {
	all := h.Values(name)
	return len(all) == 1 && strings.EqualFold(all[0], value)
}

// upgrading tells whether the header Connection names Upgrade.
func upgrading(h http.Header) bool {
	return slices.ContainsFunc(list(h.Values("Connection")), func(word string) bool { return strings.EqualFold(word, "Upgrade") })
}

// list splits a header at its commas, and takes away what HTTP takes for blank.
func list(values []string) (all []string) {
	for word := range strings.SplitSeq(strings.Join(values, ","), ",") {
		all = append(all, strings.Trim(word, " \t"))
	}
	return all
}
