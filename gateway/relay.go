package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"nacre"
)

// errQuota is the limit of a grant that is reached.
var errQuota = errors.New("the limit of bytes that the grant has is reached")

// relay copies in both directions until both are done.
func relay(inside, outside net.Conn, m *meter) {
	var both sync.WaitGroup
	both.Go(func() {
		if m.bounded() {
			_, err := io.Copy(outside, &counted{inside, m})
			if errors.Is(err, errQuota) {
				reset(inside)
				reset(outside)
			}
		} else {
			_, _ = io.Copy(outside, inside)
		}
		closeWrite(outside)
	})
	both.Go(func() {
		_, _ = io.Copy(inside, outside)
		closeWrite(inside)
	})
	both.Wait()
	inside.Close()
	outside.Close()
}

// closeWrite tells the other side that nothing more comes.
func closeWrite(c net.Conn) {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite()
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(idle))
}

// meters count what goes out under each grant.
type meters struct {
	mu    sync.Mutex
	grant map[string]*meter
}

func newMeters() *meters { return &meters{grant: map[string]*meter{}} }

// What a grant allows that does not say: more than honest programs ask for, and
// not so much that the machine suffers.
const (
	usualRate        = 12000 // requests in a minute
	usualConnections = 1024  // at once
)

// meter counts under one grant. Its limits are the grant's, or the usual; no limit
// of bytes is 0.
type meter struct {
	mu                       sync.Mutex
	limit, rate, most        int64
	bytes, requests, current int64
	minute                   time.Time
}

func (m *meters) of(g nacre.NetworkGrant) *meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.grant[g.ID] == nil {
		m.grant[g.ID] = &meter{}
		m.grant[g.ID].bound(g)
	}
	return m.grant[g.ID]
}

// adjust sets the limits of grants that are counted already.
func (m *meters) adjust(grants []nacre.NetworkGrant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range grants {
		if m.grant[g.ID] != nil {
			m.grant[g.ID].bound(g)
		}
	}
}

// bound sets the limits, which can have changed; what was counted stays.
func (m *meter) bound(g nacre.NetworkGrant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit, m.rate, m.most = g.Bytes, cmp.Or(g.Rate, usualRate), cmp.Or(g.Connections, usualConnections)
}

// bounded tells whether bytes are counted.
func (m *meter) bounded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.limit > 0
}

// spend takes from what may be sent.
func (m *meter) spend(n int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.limit > 0 && m.bytes+n > m.limit {
		return errQuota
	}
	m.bytes += n
	return nil
}

// counted is a reader whose bytes are spent.
type counted struct {
	io.Reader
	m *meter
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n > 0 {
		if over := c.m.spend(int64(n)); over != nil {
			return 0, over
		}
	}
	return n, err
}

// admit counts a request in, or says which limit of its grant forbids it, and when it may
// be tried again; 0: never.
func (m *meter) admit(length int64, now time.Time) (why string, again time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.minute) >= time.Minute {
		m.minute, m.requests = now, 0
	}
	switch {
	case m.requests >= m.rate:
		return fmt.Sprintf("the grant allows %d requests in a minute", m.rate), m.minute.Add(time.Minute).Sub(now)
	case m.current >= m.most:
		return fmt.Sprintf("the grant allows %d connections at once", m.most), time.Second
	case m.limit > 0 && length > m.limit-m.bytes:
		return fmt.Sprintf("the grant allows %d more bytes, and the request has %d", m.limit-m.bytes, length), 0
	}
	m.requests++
	m.current++
	return "", 0
}

// done counts it out.
func (m *meter) done() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current--
}
