package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"testing"
	"time"

	"nacre"
	"nacre/egress"
	"nacre/gateway/wire"
)

// shown is what a hostile program remembers of servers: the same for all names.
type shown struct{ last *tls.ClientSessionState }

func (s *shown) Get(string) (*tls.ClientSessionState, bool)    { return s.last, s.last != nil }
func (s *shown) Put(_ string, session *tls.ClientSessionState) { s.last = session }

// meet has a program say a name at a destination, and what it remembers.
func meet(t *testing.T, g *Gateway, dialled, name string, version uint16, remembered *shown) (resumed bool, refused error) {
	t.Helper()
	theirs, ours := tcpPair(t)
	done := make(chan error, 1)
	go func() {
		defer ours.Close()
		s := tls.Server(ours, g.inward(destination{dialled, 443}))
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("!"))
		}
		done <- err
	}()
	defer theirs.Close()
	_ = theirs.SetDeadline(time.Now().Add(20 * time.Second))
	c := tls.Client(theirs, &tls.Config{ServerName: name, InsecureSkipVerify: true, MaxVersion: version, ClientSessionCache: remembered})
	err := c.Handshake()
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 1)) // what is to be remembered comes before it
	}
	resumed, refused = c.ConnectionState().DidResume, <-done
	if (err == nil) != (refused == nil) {
		t.Errorf("the program: %v, the gateway: %v", err, refused)
	}
	return resumed, refused
}

// TestComesAgain: a program that comes again is not shown a certificate again. It must
// say the name that it dialled all the same, whatever it shows, and what one gateway
// gave out is nothing to another.
func TestComesAgain(t *testing.T) {
	grants := []nacre.NetworkGrant{{Host: "api.example.com", Scheme: "https"}, {Host: "other.test", Scheme: "https"}}
	config := wire.Config{Rules: egress.Rules{Grants: grants}}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		g, _ := newGateway(t, config)
		remembered := &shown{}
		for again := range 2 {
			if resumed, err := meet(t, g, "api.example.com", "api.example.com", version, remembered); err != nil || resumed != (again == 1) {
				t.Errorf("%x, %d: resumed %v, %v", version, again, resumed, err)
			}
		}
		for _, c := range []struct{ dialled, name string }{
			{"api.example.com", "evil.test"}, {"api.example.com", "other.test"}, {"other.test", "api.example.com"}, {"api.example.com", ""},
		} {
			if _, err := meet(t, g, c.dialled, c.name, version, &shown{remembered.last}); !errors.Is(err, errName) {
				t.Errorf("%x: %s was dialled and %q said: %v", version, c.dialled, c.name, err)
			}
		}
		another, _ := newGateway(t, config)
		if resumed, err := meet(t, another, "api.example.com", "api.example.com", version, &shown{remembered.last}); err != nil || resumed {
			t.Errorf("%x: another gateway: resumed %v, %v", version, resumed, err)
		}
	}
}
