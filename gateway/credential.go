package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"nacre/gateway/wire"
	"nacre/pattern"
)

// A host that gets a secret of the owner's gets no other: with one of its own a
// program could send there what it has, to somebody else's account. What is one
// shows in its name alone, so names are read strictly: in lower case, without what
// is no letter or digit, wherever a word for a credential is in them.
var credential = pattern.Of(`auth(?:[^o]|$|o(?:[^r]|$)|ori[sz])|token|secret|cred(?:ential|s|$)|cookie|sess(?:ion|id)|^sid$|passw|passphrase|passcode|pwd|^pass$|` +
	`key(?:[^w]|$)|^sig(?:n|$)|signature|hmac|bearer|jwt|assertion|dpop|^otp$|^pat$`)

// marks are what is in every name that credential finds: most have none of these, and
// are told apart quickly.
var marks = []string{"auth", "token", "secret", "cred", "cookie", "sess", "sid", "pass", "pwd", "key", "sig", "hmac", "bearer", "jwt", "assertion", "dpop", "otp", "pat"}

// harmless are names that read so and say nothing of who asks: marks of requests,
// of places in lists, and of what the host itself has begun.
var harmless = pattern.Of(`^(?:x?idempotencykey|secwebsocketkey|mcpsessionid|locktoken|(?:next)?(?:page|sync)token|nexttoken|(?:xms)?continuationtoken|skiptoken|maxtokens|(?:start|end|sort|project|issue)key)$`)

// credentialName tells whether a name, of a header or a parameter, may be a
// credential's.
func credentialName(name string) bool {
	plain := strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, name)
	marked := slices.ContainsFunc(marks, func(mark string) bool { return strings.Contains(plain, mark) })
	return marked && credential().MatchString(plain) && !harmless().MatchString(plain)
}

// inParts has a server send a part of what it has, or the change to it: a secret in
// two parts is not found in either. Accept-Charset may have it say so in letters
// that are not searched.
var inParts = []string{"Range", "If-Range", "Request-Range", "X-Ms-Range", "A-Im", "Accept-Charset"}

// dropOwn takes out of a request what may be the agent's own credentials, and what
// would have the reply come in a way that cannot be searched.
func dropOwn(h http.Header) {
	for name, values := range h {
		subprotocols := name == "Sec-Websocket-Protocol" && credentialName(strings.Join(values, ",")) // where browsers have no header for it
		if credentialName(name) || subprotocols {
			delete(h, name)
		}
	}
	for _, name := range inParts {
		h.Del(name)
	}
}

// ownParameter is the first parameter that may be a credential of the agent's own,
// or cannot be read. One in the place of a secret is not: it will be replaced.
func ownParameter(secrets []wire.Secret, query string) string {
	if len(secrets) == 0 {
		return ""
	}
	for part := range parameters(query) {
		if !strings.Contains(part, "=") { // a name with no value says nothing of who asks
			continue
		}
		name, err := parameter(part)
		if err != nil || credentialName(name) && !replaced(secrets, name) {
			return name
		}
	}
	return ""
}

func replaced(secrets []wire.Secret, name string) bool {
	for _, s := range secrets {
		if kind, place, _ := strings.Cut(s.Slot, ":"); kind == "query" && strings.EqualFold(place, name) {
			return true
		}
	}
	return false
}

// parameters are the pieces of a query, however a server separates them.
func parameters(query string) func(func(string) bool) {
	return strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' })
}

// parameter is the name in a piece.
func parameter(part string) (string, error) {
	key, _, _ := strings.Cut(part, "=")
	plain, err := url.QueryUnescape(key)
	if err != nil {
		return key, err
	}
	return plain, nil
}
