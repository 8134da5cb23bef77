package posture

import (
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// FuzzStatus: whatever stands in the files of /proc, nothing passes for confined where
// it is not said in so many words, and nothing is left out.
func FuzzStatus(f *testing.F) {
	const limits = "Limit                     Soft Limit           Hard Limit           Units     \n"
	f.Add(confined, limits+strings.Repeat("Max open files            64                   64                   files     \n", 16), "  lo: 0 0\n")
	f.Add("Name:\tSeccomp:\t2\n"+confined[:40], "", "Inter-|   Receive\n face |bytes\n    lo: 0\n  eth0: 0\n")
	f.Add(confined+"CapEff:\t0000000000000001\n", "x", "lo:\nlo:\n")
	f.Add("\xff", limits+"Max é                     64", "")
	items := []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "mode"}
	f.Fuzz(func(t *testing.T, status, limits, devices string) {
		r := made(t, map[string]string{"status": status, "limits": limits, "net/dev": devices, "net/fib_trie": ""})
		r.status()
		r.limits([]blueprint.Rlimit{{Resource: unix.RLIMIT_NOFILE, Value: 64}, {Resource: 15, Value: 64}})
		r.network(false)
		listed := map[string]bool{}
		for _, l := range r.list {
			listed[l.Item] = true
			form := "(?m)^" + map[string]string{"NoNewPrivs": `NoNewPrivs:\s*1\s*$`, "mode": `Seccomp:\s*2\s*$`}[l.Item]
			if strings.HasPrefix(l.Item, "Cap") {
				form += l.Item + `:\s*0000000000000000\s*$`
			}
			switch {
			case !l.OK:
			case l.Layer == "limits" && strings.Count(limits, "64") < 2:
				t.Errorf("%+v of %q", l, limits)
			case l.Item == "interfaces" && !regexp.MustCompile(`(?m)^ *lo:`).MatchString(devices):
				t.Errorf("%+v of %q", l, devices)
			case (l.Layer == "capabilities" || l.Item == "mode") && !regexp.MustCompile(form).MatchString(status):
				t.Errorf("%+v of %q", l, status)
			}
		}
		for _, item := range items {
			if !listed[item] {
				t.Errorf("nothing is said of %s", item)
			}
		}
	})
}
