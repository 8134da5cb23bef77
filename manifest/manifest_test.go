package manifest

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"nacre"
	"nacre/egress"
	"nacre/fault"
)

func TestParse(t *testing.T) {
	m, err := Parse("f", []byte("version: 1\nname: a\nnetwork: [a.io, {host: b.io, scheme: http, access: write}]\nsecrets: [{name: s, hosts: [a.io]}]\nfiles: [x]\nlimits: {time: 1m}"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := m.Network[0], m.Network[1]
	if !m.Loopback || m.Files[0].Access != nacre.Read || m.Secrets[0].Slot != "bearer" || m.Limits.Time.N != 60e9 || m.Limits.Time.Origin.Line != 6 ||
		!slices.Equal(first.Ports, []int{443}) || first.Scheme != "https" || !slices.Equal(first.Methods, []string{"GET", "HEAD", "OPTIONS"}) || !slices.Equal(first.Paths, []string{"/**"}) ||
		!slices.Equal(second.Ports, []int{80}) || !slices.Contains(second.Methods, "DELETE") {
		t.Errorf("%+v", m)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"version":           {"version: 2\nname: a", "version of this grammar: 1"},
		"no name":           {"version: 1", `"name" is missing`},
		"name":              {"version: 1\nname: A_b", "lower-case letters, digits and hyphens"},
		"name long":         {"version: 1\nname: " + strings.Repeat("a", 64), "at most 63"},
		"name hyphen":       {"version: 1\nname: -a", "lower-case"},
		"stage":             {"files: [{path: x, access: stage}]", "reserved and not available yet"},
		"path and preset":   {"files: [{path: x, preset: go}]", "either path or preset"},
		"neither":           {"files: [{at: /x}]", "either path or preset"},
		"preset write":      {"files: [{preset: go, access: write}]", "read-only"},
		"preset at":         {"files: [{preset: go, at: /x}]", "read-only"},
		"preset unknown":    {"files: [{preset: emacs}]", "no preset"},
		"image keys":        {"image: {directory: a}", "expected text"},
		"image none":        {"image: \"\"", "expected host (default), oci:"},
		"image nowhere":     {"image: \"directory:\"", "expected host (default), oci:"},
		"image word":        {"image: alpine", "expected host (default), oci:"},
		"image not pinned":  {"image: oci:alpine:latest", "with its digest @sha256"},
		"env name":          {"environment: {A-B: x}", "not a variable's name"},
		"env own":           {"environment: {HOME: /x}", "always the sandbox's own"},
		"env number":        {"environment: {A: 1}", "expected text"},
		"env NUL":           {`environment: {A: "a\0"}`, "NUL"},
		"env name long":     {"environment: {" + strings.Repeat("A", 129) + ": x}", "not a variable's name"},
		"env long":          {"environment: {A: " + strings.Repeat("x", 40000) + "}", "32 KiB"},
		"host upper":        {"network: [Example.com]", "lower-case host name"},
		"host label long":   {"network: [" + strings.Repeat("a", 64) + ".com]", "lower-case host name"},
		"host dot":          {"network: [example.com.]", "lower-case host name"},
		"host url":          {"network: [\"https://a.io\"]", "lower-case host name"},
		"host port":         {"network: [\"a.io:443\"]", "lower-case host name"},
		"host unicode":      {"network: [exämple.com]", "xn--"},
		"host star":         {"network: [\"*\"]", "lower-case host name"},
		"host star com":     {"network: [\"*.com\"]", "lower-case host name"},
		"host inner star":   {"network: [\"a.*.com\"]", "lower-case host name"},
		"host part star":    {"network: [\"a*.b.com\"]", "lower-case host name"},
		"host octal":        {"network: [\"0177.0.0.1\"]", "lower-case host name"},
		"host short ip":     {"network: [\"127.1\"]", "lower-case host name"},
		"host hex ip":       {"network: [\"0x7f.1\"]", "lower-case host name"},
		"host number":       {"network: [\"2130706433\"]", "lower-case host name"},
		"host v6 long":      {"network: [\"0:0:0:0:0:0:0:1\"]", "lower-case host name"},
		"host v6 zone":      {"network: [\"fe80::1%eth0\"]", "lower-case host name"},
		"host v4 as v6":     {"network: [\"::ffff:10.0.0.7\"]", "lower-case host name"},
		"host last digit":   {"network: [a.1b]", "lower-case host name"},
		"host star address": {"network: [\"*.10.0.0.7\"]", "lower-case host name"},
		"host star v6":      {"network: [\"*.fd00::1\"]", "lower-case host name"},
		"host hyphen":       {"network: [a-.io]", "lower-case host name"},
		"host long":         {"network: [" + strings.Repeat("a.", 126) + "io]", "lower-case host name"},
		"port":              {"network: [{host: a.io, ports: [0]}]", "1 to 65535"},
		"ports empty":       {"network: [{host: a.io, ports: []}]", "ports is empty, which allows nothing"},
		"tcp without port":  {"network: [{host: a.io, scheme: tcp}]", "1 to 65535"},
		"ssh to read":       {"network: [{host: a.io, scheme: ssh}]", "by ssh there is git alone"},
		"ssh for more":      {"network: [{host: a.io, scheme: ssh, methods: [FETCH, GET]}]", "by ssh there is git alone"},
		"ssh upgrade":       {"network: [{host: a.io, scheme: ssh, access: git, upgrade: [websocket]}]", "by ssh there is git alone"},
		"slot of a shell":   {"secrets: [{name: s, hosts: [a.io], slot: \"ssh:-oProxy\"}]", "slot"},
		"tcp paths":         {"network: [{host: a.io, scheme: tcp, ports: [22], paths: [/]}]", "nothing looks inside"},
		"access, methods":   {"network: [{host: a.io, access: read, methods: [GET]}]", "either access or methods"},
		"methods empty":     {"network: [{host: a.io, methods: []}]", "allows nothing"},
		"paths empty":       {"network: [{host: a.io, paths: []}]", "paths is empty, which allows nothing"},
		"path dots":         {"network: [{host: a.io, paths: [/a/../b]}]", "expected patterns"},
		"path encoded":      {"network: [{host: a.io, paths: [/a%2Fb]}]", "expected patterns"},
		"path twice slash":  {"network: [{host: a.io, paths: [/a//b]}]", "expected patterns"},
		"path star inside":  {"network: [{host: a.io, paths: [/a*/b]}]", "expected patterns"},
		"path early stars":  {"network: [{host: a.io, paths: [/**/b]}]", "expected patterns"},
		"secret port":       {"secrets: [{name: s, hosts: [\"a.io:0\"]}]", "expected HOST, HOST:PORT"},
		"secret path":       {"secrets: [{name: s, hosts: [\"a.io/v1/../x\"]}]", "expected HOST, HOST:PORT"},
		"secret host, port": {"secrets: [{name: s, hosts: [\"A.io:443/v1\"]}]", "lower-case host name"},
		"secret no hosts":   {"secrets: [{name: s}]", "expected either hosts"},
		"secret slot":       {"secrets: [{name: s, hosts: [a.io], slot: body}]", "expected where it goes"},
		"secret both":       {"secrets: [{name: s, hosts: [a.io], reveal: true}]", "no hosts"},
		"secret host":       {"secrets: [{name: s, hosts: [\"*\"]}]", "lower-case host name"},
		"model empty":       {"models: [{provider: p, models: []}]", "models is empty"},
		"model negative":    {"models: [{provider: p, models: [m], tokens: -1}]", "expected the most tokens"},
		"tool name":         {"tools: [{server: \"a;b\", tools: [x]}]", "expected the tool server's name"},
		"tool url":          {"tools: [{server: s, tools: [x], url: \"https://a.io/x?y\"}]", "expected where its MCP is"},
		"tool url capitals": {"tools: [{server: s, tools: [x], url: \"https://A.io/\"}]", "expected where its MCP is"},
		"tool argument":     {"tools: [{server: s, tools: [x], arguments: [repo]}]", "expected what every call must keep to"},
		"tool separator":    {"tools: [{server: s, tools: [x], arguments: [\"a=1; only\"]}]", "expected what every call must keep to"},
		"tool pin":          {"tools: [{server: s, tools: [x], pins: [x@sha256:0]}]", "expected the definition"},
		"message access":    {"messages: [{with: x, access: [shout]}]", "expected one of send, receive"},
		"cron":              {"schedule: [{name: n, when: [noon]}]", "five cron fields"},
		"device empty":      {"devices: [\"\"]", "expected devices, by name"},
		"device control":    {`devices: ["a\nb"]`, "expected devices, by name"},
		"limit empty":       {"limits: {memory: \"\"}", "expected a size"},
		"command NUL":       {"command: [a, \"b\\0\"]", "agent.yaml:3:14: command: expected the program and its arguments, as a list, without NUL"},
		"workdir":           {"workdir: work", "workdir: expected where the command starts"},
		"hosts empty":       {"secrets: [{name: s, hosts: []}]", "hosts is empty"},
		"syscalls empty":    {"syscalls: [\"\"]", "expected groups of system calls"},
		"limit word":        {"limits: {memory: much}", "expected a size"},
		"limit nothing":     {"limits: {cpus: 0}", "at least 0.01"},
		"limit of memory":   {"limits: {memory: 15MiB}", `limits: memory: expected a size such as 512MiB or 2GiB, at most 1024TiB, and at least 16MiB; found "15MiB"`},
		"limit of cpus":     {"limits: {cpus: 0.009}", "at least 0.01;"},
		"limit of files":    {"limits: {open-files: 63}", "at least 64;"},
		"limit of disk":     {"limits: {disk: 0}", "at least 1;"},
		"limit of time":     {"limits: {time: 999us}", "at least 1ms;"},
		"limit unknown":     {"limits: {openfiles: 3}", `unknown key: "openfiles"`},
		"capability unkown": {"filez: []", `unknown key: "filez"`},
	} {
		text := c.text
		if !strings.HasPrefix(text, "version") {
			text = "version: 1\nname: a\n" + text
		}
		_, err := Parse("agent.yaml", []byte(text))
		if err == nil || fault.KindOf(err) != fault.Invalid || !strings.HasPrefix(err.Error(), "agent.yaml:") || !strings.Contains(err.Error()+fault.HintOf(err), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestCheckHost: what the gateway would find under another spelling, or never, is no
// host; what is one is found.
func TestCheckHost(t *testing.T) {
	for _, host := range []string{"a.io", "localhost", "1a.io", "1.a", "a.b1", "_dmarc.a_b_.io", "xn--nxasmq6b.io", "*.a.io", "*.1.io", "10.0.0.7", "fd00::1", strings.Repeat("a", 63) + ".io"} {
		if err := CheckHost(nacre.Origin{}, host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		bare := strings.TrimPrefix(host, "*.")
		if name, ok := egress.Name(bare); !ok || name != bare {
			t.Errorf("the gateway takes %s for %q", host, name)
		}
	}
	for _, host := range []string{"", "*", "*.", "*.io", "*.*.io", "a.io.", "A.io", "a.1", "a.1b", "a..io", "-a.io", "a-.io", "::ffff:10.0.0.7", "0::1", "fe80::1%eth0", "[fd00::1]", "*.10.0.0.7", "*.fd00::1", "*.64:ff9b::1.2.3.4",
		"a.io:443", "a/b", "a.\u212a", strings.Repeat("a", 64) + ".io"} {
		if CheckHost(nacre.Origin{}, host) == nil {
			t.Errorf("%s is a host", host)
		}
	}
}

// TestNameIsPlaced: a wrong name is shown where it is written.
func TestNameIsPlaced(t *testing.T) {
	for _, name := range []string{"A_b", "-a", strings.Repeat("a", 64)} {
		if _, err := Parse("agent.yaml", []byte("version: 1\n# a comment\nname: "+name+"\n")); err == nil || !strings.HasPrefix(err.Error(), "agent.yaml:3:7: name: expected ") {
			t.Errorf("%.9s: %v", name, err)
		}
	}
	if _, err := Parse("agent.yaml", []byte("version: 1\nname: "+strings.Repeat("a", 63))); err != nil {
		t.Error(err)
	}
}

// TestFormat: an amount comes back as people write it, and means the same.
func TestFormat(t *testing.T) {
	var l Limits
	for _, c := range []struct{ name, text, want string }{
		{"memory", "4GB", "4GB"}, {"memory", "4GiB", "4GiB"}, {"memory", "1536MiB", "1536MiB"}, {"memory", "1.5GiB", "1536MiB"}, {"memory", "500MB", "500MB"},
		{"memory", "2000MB", "2GB"}, {"memory", "1TB", "1TB"}, {"disk", "3KiB", "3KiB"}, {"disk", "5kB", "5kB"}, {"disk", "1025", "1025"},
		{"time", "90s", "1m30s"}, {"cpus", "1.5", "1.5"}, {"processes", "1024", "1024"},
	} {
		for _, limit := range l.Each() {
			if limit.Name != c.name {
				continue
			}
			n, err := limit.Parse(c.text)
			again, err2 := limit.Parse(limit.Format(n))
			if got := limit.Format(n); err != nil || err2 != nil || got != c.want || again != n {
				t.Errorf("%s: %s, want %s (%d, %d, %v, %v)", c.text, got, c.want, n, again, err, err2)
			}
		}
	}
}

// TestLeast: the least of each limit is taken, is what its text says, and less is refused.
func TestLeast(t *testing.T) {
	var l Limits
	for i, limit := range l.Each() {
		if n, err := limit.Parse(limit.Format(limit.Least)); n != limit.Least || err != nil {
			t.Errorf("%s: %d, %v, want %d", limit.Name, n, err, limit.Least)
		}
		if n, err := limit.Parse(limit.Format(limit.Least - 1)); err == nil {
			t.Errorf("%s: less than the least is %d", limit.Name, n)
		}
		about, want := reflect.TypeFor[Limits]().Field(i).Tag.Get("about"), "at least "+limit.Format(limit.Least)
		if limit.Least > 1 && !strings.HasSuffix(about, want) {
			t.Errorf("%s: %q does not say %s", limit.Name, about, want)
		}
	}
}

func TestStageIsReserved(t *testing.T) {
	f := File{Path: "x", Access: nacre.Stage}
	if err := f.Check(); err == nil || !strings.Contains(err.Error(), "reserved and not available yet") {
		t.Errorf("%v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"version: 1\nname: a\n", "version: 1\nname: a\nnetwork: [{host: a.io, paths: [/a/**]}]\nlimits: {memory: 1GiB}",
		"version: 1\nname: a\nenvironment: {A: {from: owner}}\nfiles: [x, {preset: go}]\nschedule: [{name: n, when: [\"0 7 * * *\"]}]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse("f", data)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		for _, file := range m.Files {
			if file.Access != nacre.Read && file.Access != nacre.Write {
				t.Fatalf("%+v", file)
			}
		}
		for _, n := range m.Network {
			if len(n.Ports) == 0 || n.Scheme != "tcp" && (len(n.Methods) == 0 || len(n.Paths) == 0) {
				t.Fatalf("%+v", n)
			}
		}
	})
}
