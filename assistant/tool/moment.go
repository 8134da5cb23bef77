package tool

import (
	"strings"
	"time"
)

// moment tells whether a text is a time, a duration or five fields of cron.
func moment(s string) bool {
	if _, err := time.Parse(time.RFC3339, s); err == nil {
		return true
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d > 0
	}
	fields := strings.Fields(s)
	for _, f := range fields {
		if strings.Trim(f, "0123456789*/,-") != "" {
			return false
		}
	}
	return len(fields) == 5
}
