package cli

import (
	"testing"
	"time"
)

// TestShortTime: parts that are nothing are left out, and no others.
func TestShortTime(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Hour: "1h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m", 70 * time.Second: "1m10s", 100 * time.Hour: "100h",
		time.Hour + time.Second: "1h0m1s", 20 * time.Second: "20s", 0: "0s", 1500 * time.Millisecond: "1.5s", 10 * time.Hour: "10h", 60*time.Minute + 10*time.Minute: "1h10m"} {
		if got := shortTime(d); got != want {
			t.Errorf("%v: %s, expected %s", int64(d), got, want)
		}
	}
}
