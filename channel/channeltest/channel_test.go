package channeltest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nacre/channel"
	"nacre/channel/echo"
	"nacre/test/programs"
)

var bin string

// TestMain builds the programs; inside a sandbox it is an adapter.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "adapter" {
		adapt(os.Args[2])
		return
	}
	dir, remove, err := programs.Dir()
	if err != nil {
		panic(err)
	}
	bin = dir
	code := m.Run()
	remove()
	os.Exit(code)
}

// sandbox is this very program as an adapter, in sandboxes.
func sandbox(t *testing.T, kind string) Sandbox {
	t.Helper()
	home := programs.Home(t)
	folder := filepath.Join(home, "adapter")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "adapter"), self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Sandbox{Nacre: filepath.Join(bin, "nacre"), Flags: append(programs.Tiers(), "--files", folder+":read@/work/adapter"),
		Env: []string{"HOME=" + home, "PATH=/usr/bin:/bin"}, Command: []string{"/work/adapter/adapter", "adapter", kind}}
}

// TestEcho: the example does all that an adapter must.
func TestEcho(t *testing.T) { Run(t, sandbox(t, "echo").Start, "echo") }

// TestHostileAdapters: each does one thing that no adapter may, and is found out.
func TestHostileAdapters(t *testing.T) {
	for kind, c := range map[string]struct{ in, want string }{
		"rude":       {"sends", "it begins with health"},
		"newer":      {"sends", "version 2 of the protocol is not known here"},
		"banner":     {"sends", "does not keep to the channel protocol"},
		"escapes":    {"sends", "text cannot be"},
		"pours":      {"sends", "a line is longer than is taken"},
		"unknown":    {"sends", `the key "admin" is not known here`},
		"host":       {"sends", `no message of the type "send" comes from the adapter`},
		"dies":       {"sends", "EOF"},
		"mute":       {"sends", "it says nothing"},
		"invents":    {"sends", "which waits for no answer"},
		"twice":      {"many", "which waits for no answer"},
		"forgetful":  {"again", "the same message is"},
		"everywhere": {"refuses", "it takes a message to nobody"},
		"steals":     {"attaches", "which was not offered"},
		"believes":   {"attaches", "it takes an attachment that it cannot have"},
		"repeats":    {"many", "which was acknowledged"},
		"loses":      {"says again", "it has lost"},
		"gives up":   {"says again", "it has lost"},
		"changes":    {"says again", "otherwise than before"},
		"stubborn":   {"says again", "which was acknowledged"},
		"asks back":  {"offers", "nobody answers with an attachment"},
		"lies":       {"offers", "is not what its digest says"},
		"pads":       {"offers", "has more than the"},
		"elsewhere":  {"offers", "which nobody asked for"},
		"holds back": {"offers", "it does not give"},
		"generous":   {"offers", "it gives what it has not offered"},
		"immortal":   {"is left", "it does not end"},
		"disorderly": {"shuts down", "it ends in disorder"},
	} {
		t.Run(kind, func(t *testing.T) {
			start := func() (*Process, error) {
				p, err := sandbox(t, kind).Start()
				if err == nil && (kind == "mute" || kind == "immortal") {
					p.Patience = 2 * time.Second
				}
				return p, err
			}
			for _, one := range Cases() {
				if one.Name != c.in {
					continue
				}
				if err := one.Run(start, "echo"); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
				return
			}
			t.Errorf("there is no case %q", c.in)
		})
	}
}

// TestDeafAdapter: one that does not read keeps nobody waiting.
func TestDeafAdapter(t *testing.T) {
	_, in := io.Pipe()
	out, w := io.Pipe()
	go func() { fmt.Fprintln(w, `{"type":"hello","protocol":1,"name":"deaf"}`) }()
	err := Cases()[0].Run(func() (*Process, error) {
		return &Process{In: in, Out: out, Wait: func() error { return nil }, Kill: func() {}, Patience: 2 * time.Second}, nil
	}, "echo")
	if err == nil || !strings.Contains(err.Error(), "it does not read") {
		t.Error(err)
	}
}

// adapt is an adapter: the example, or one that does one thing wrong.
func adapt(kind string) {
	if kind == "echo" {
		if err := echo.Run(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	hello := `{"type":"hello","protocol":1,"name":"x","features":["attachments"]}`
	switch kind {
	case "rude":
		hello = `{"type":"health","state":"ok"}`
	case "newer":
		hello = strings.Replace(hello, "1", "2", 1)
	case "banner":
		hello = "Listening…"
	case "pours":
		fmt.Print(`{"type":"health","state":"ok","text":"`)
		for {
			fmt.Print(strings.Repeat("x", 1<<16))
		}
	case "unknown":
		hello = strings.Replace(hello, "{", `{"admin":true,`, 1)
	case "host":
		hello += "\n" + `{"type":"send","id":"1","conversation":"c","text":"x"}`
	case "escapes":
		hello += "\n" + `{"type":"health","state":"ok","text":"\u001b[2J"}`
	}
	fmt.Println(hello)
	in := channel.NewReader(os.Stdin, channel.Host)
	told := false
	for n := 1; ; n++ {
		m, err := in.Next()
		switch {
		case err != nil && kind == "immortal":
			time.Sleep(time.Hour)
		case err != nil:
			return
		case m.Type == channel.Shutdown && kind == "disorderly":
			os.Exit(3)
		case inbound[kind]:
			mistakes(kind, m, &told)
		case m.Type == channel.Send:
			wrong(kind, m.ID, n)
		}
	}
}

// wrong answers a message as an adapter must not.
func wrong(kind, id string, n int) {
	switch kind {
	case "dies":
		os.Exit(0)
	case "mute":
		return
	case "invents":
		fmt.Println(`{"type":"ack","id":"never-sent"}`)
	case "steals":
		fmt.Println(`{"type":"fetch","ref":"/etc/passwd","offset":0}`)
	case "repeats":
		fmt.Println(`{"type":"message","id":"same","conversation":"echo","from":{"id":"x"},"time":"2026-01-01T00:00:00Z","text":"x"}`)
	case "twice":
		fmt.Printf("{\"type\":\"ack\",\"id\":\"%s\"}\n", id)
	}
	fmt.Printf("{\"type\":\"ack\",\"id\":\"%s\",\"network\":\"%d\"}\n", id, n)
}

// inbound are the adapters whose mistakes are in what they hear.
var inbound = map[string]bool{"loses": true, "gives up": true, "changes": true, "stubborn": true, "asks back": true, "lies": true, "pads": true, "elsewhere": true,
	"holds back": true, "generous": true}

// heardText is what somebody has written, with an attachment of four bytes.
const heardText = `{"type":"message","id":"m","conversation":"echo","from":{"id":"x"},"time":"2026-01-01T00:00:00Z","text":"x","attachments":[{"ref":"r","size":4,"digest":"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}]}`

// mistakes is one turn of an adapter that makes one of them. One that gives up does so
// once it was told to come later.
func mistakes(kind string, m channel.Message, told *bool) {
	switch m.Type {
	case channel.Send:
		said := heardText
		if kind == "asks back" {
			said = strings.Split(said, `,"attachments"`)[0] + "}"
		}
		fmt.Printf("%s\n{\"type\":\"ack\",\"id\":\"%s\"}\n", said, m.ID)
	case channel.Failed:
		*told = true
	case channel.Check:
		switch {
		case kind == "changes":
			fmt.Println(strings.Replace(heardText, `"text":"x"`, `"text":"y"`, 1))
		case kind == "stubborn", kind == "gives up" && !*told:
			fmt.Println(heardText)
		}
		fmt.Println(`{"type":"health","state":"ok"}`)
	case channel.Fetch:
		piece(kind, m)
	}
}

// piece gives "test", or what it is not.
func piece(kind string, m channel.Message) {
	ref, offset, data, last := m.Ref, *m.Offset, "dGVzdA==", "true"
	switch {
	case kind == "holds back", ref != "r" && kind != "generous":
		fmt.Printf("{\"type\":\"error\",\"ref\":\"%s\",\"code\":\"unknown\"}\n", ref)
		return
	case kind == "lies":
		data = "dGVzVA=="
	case kind == "pads":
		last = "false"
	case kind == "elsewhere":
		offset++
	}
	fmt.Printf("{\"type\":\"chunk\",\"ref\":\"%s\",\"offset\":%d,\"data\":\"%s\",\"last\":%s}\n", ref, offset, data, last)
}
