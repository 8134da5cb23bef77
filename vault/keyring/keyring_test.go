package keyring_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"

	"nacre/fault"
	"nacre/vault/keyring"
	"nacre/vault/store"
)

const canary = "canary-of-the-keyring"

// bus starts a session bus of the test's own.
func bus(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("needs dbus-daemon (Debian: dbus)")
	}
	dir := t.TempDir()
	// Activation is off: nothing but what the test starts answers.
	config := filepath.Join(dir, "bus.conf")
	text := `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=` + filepath.Join(dir, "bus") + `</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config-file="+config, "--nofork", "--print-address=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// fake is a Secret Service as small as can be.
type fake struct {
	mu    sync.Mutex
	items map[string][]byte
	mood  mood
}

// mood is how a keyring may refuse.
type mood struct {
	locked bool
	asks   bool // it wants to ask somebody before it does anything
	none   bool // it has no default collection
}

func (f *fake) now() mood {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mood
}

func (f *fake) become(m mood) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mood = m
}

type value struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

const (
	at     = dbus.ObjectPath("/org/freedesktop/secrets")
	place  = at + "/collection/login"
	prompt = at + "/prompt/1"
)

func (f *fake) OpenSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	return dbus.MakeVariant(""), at + "/session/1", nil
}

func (f *fake) ReadAlias(string) (dbus.ObjectPath, *dbus.Error) {
	if f.now().none {
		return "/", nil
	}
	return place, nil
}

func (f *fake) SearchItems(a map[string]string) (open, shut []dbus.ObjectPath, _ *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.items[a["name"]]; there && a["application"] == "nacre" {
		found := []dbus.ObjectPath{place + dbus.ObjectPath("/"+a["name"])}
		if f.mood.locked {
			return nil, found, nil
		}
		return found, nil, nil
	}
	return nil, nil, nil
}

func (f *fake) CreateItem(p map[string]dbus.Variant, v value, _ bool) (dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	if f.now().asks {
		return "/", prompt, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	name := p["org.freedesktop.Secret.Item.Attributes"].Value().(map[string]string)["name"]
	f.items[name] = v.Value
	return place + dbus.ObjectPath("/"+name), "/", nil
}

// Get answers for properties.
func (f *fake) Get(_, name string) (dbus.Variant, *dbus.Error) {
	return dbus.MakeVariant(f.now().locked), nil
}

// one is an item.
type one struct {
	*fake
	name string
}

func (o one) GetSecret(s dbus.ObjectPath) (value, *dbus.Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return value{s, nil, o.items[o.name], "text/plain"}, nil
}

func (o one) Delete() (dbus.ObjectPath, *dbus.Error) {
	if o.now().asks {
		return prompt, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.items, o.name)
	return "/", nil
}

func serve(t *testing.T, address string, f *fake) {
	t.Helper()
	f.items = map[string][]byte{}
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for _, e := range []error{conn.Export(f, at, "org.freedesktop.Secret.Service"), conn.Export(f, place, "org.freedesktop.Secret.Collection"),
		conn.Export(f, place, "org.freedesktop.DBus.Properties"), conn.Export(one{f, "token"}, place+"/token", "org.freedesktop.Secret.Item")} {
		if e != nil {
			t.Fatal(e)
		}
	}
	if _, err := conn.RequestName("org.freedesktop.secrets", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
}

// keeps does with a vault what its owner does, and sees that the value is in the
// keyring alone.
func keeps(t *testing.T, k keyring.Keyring) {
	t.Helper()
	v := &store.Vault{Dir: filepath.Join(t.TempDir(), "vault"), Keyring: k}
	get := func() string {
		found, err := v.Get(context.Background(), []string{"token"}, func(string) string { return "" })
		if err != nil {
			return err.Error()
		}
		return string(found["token"].Reveal())
	}
	if err := v.Set("token", store.Entry{Value: []byte(canary), Keyring: true}, false); err != nil {
		t.Fatal(err)
	}
	if got := get(); got != canary {
		t.Error(got)
	}
	lines, err := v.List()
	if text := fmt.Sprint(lines); err != nil || strings.Contains(text, "canary") || lines[0].Kind != "keyring" || lines[0].Fingerprint != "" {
		t.Errorf("%v %v", text, err)
	}
	if err := v.Set("token", store.Entry{Value: []byte("another-value"), Keyring: true}, true); err != nil || get() != "another-value" {
		t.Errorf("rotated: %v %s", err, get())
	}
	if err := v.Set("token", store.Entry{Value: []byte("in-the-vault")}, true); err != nil || get() != "in-the-vault" {
		t.Errorf("moved: %v %s", err, get())
	}
	if value, err := k.Get("token"); err == nil {
		t.Errorf("what was moved is still in the keyring: %q", value)
	}
	if err := v.Set("token", store.Entry{Value: []byte(canary), Keyring: true}, true); err != nil {
		t.Fatal(err)
	}
	if err := v.Remove("token"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Get("token"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("removed: %v", err)
	}
}

func TestKeyring(t *testing.T) {
	address := bus(t)
	serve(t, address, &fake{})
	keeps(t, keyring.Keyring{Bus: address})
}

// TestGnomeKeyring does it with the real one.
func TestGnomeKeyring(t *testing.T) {
	program, err := exec.LookPath("gnome-keyring-daemon")
	if err != nil {
		t.Skip("needs gnome-keyring-daemon (Debian: gnome-keyring)")
	}
	address, home := bus(t), t.TempDir()
	cmd := exec.Command(program, "--foreground", "--unlock", "--components=secrets", "--control-directory="+home)
	cmd.Env = []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + home, "XDG_DATA_HOME=" + home, "DBUS_SESSION_BUS_ADDRESS=" + address, "PATH=" + os.Getenv("PATH")}
	cmd.Stdin = strings.NewReader("the password of the login")
	out, err := cmd.StdoutPipe()
	var said bytes.Buffer
	cmd.Stderr = &said
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	_, _ = io.ReadAll(io.LimitReader(out, 1)) // it says where it is once it is there
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	wait(t, conn, &said)
	keeps(t, keyring.Keyring{Bus: address})
	if err := conn.Object("org.freedesktop.secrets", at).Call("org.freedesktop.Secret.Service.LockService", 0).Err; err != nil {
		t.Fatal(err)
	}
	if err := (keyring.Keyring{Bus: address}).Set("token", []byte(canary)); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("locked: %v", err)
	}
}

// wait returns once the keyring answers on the bus.
func wait(t *testing.T, conn *dbus.Conn, said fmt.Stringer) {
	t.Helper()
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	if err := conn.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged")); err != nil {
		t.Fatal(err)
	}
	var there bool
	if err := conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, "org.freedesktop.secrets").Store(&there); err != nil {
		t.Fatal(err)
	}
	for !there {
		s, ok := <-signals
		if !ok {
			t.Fatal("the bus is gone: ", said)
		}
		there = len(s.Body) > 0 && s.Body[0] == "org.freedesktop.secrets"
	}
}

// TestKeyringShut: where there is none, or it is locked, or it would ask somebody,
// that is said, with what to do, and nothing waits.
func TestKeyringShut(t *testing.T) {
	empty := bus(t)
	address := bus(t)
	f := &fake{}
	serve(t, address, f)
	k := keyring.Keyring{Bus: address}
	if err := k.Set("token", []byte(canary)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		k    keyring.Keyring
		mood mood
		want string
	}{
		"no bus":        {keyring.Keyring{}, mood{}, "no keyring"},
		"a dead bus":    {keyring.Keyring{Bus: "unix:path=/nonexistent"}, mood{}, "no keyring"},
		"no service":    {keyring.Keyring{Bus: empty}, mood{}, "no keyring"},
		"locked":        {k, mood{locked: true}, "locked"},
		"asks":          {k, mood{asks: true}, "locked"},
		"no collection": {k, mood{none: true}, "no default collection"},
	} {
		f.become(c.mood)
		for what, err := range map[string]error{"set": c.k.Set("token", []byte(canary)), "remove": c.k.Remove("token")} {
			if err == nil || !strings.Contains(err.Error(), c.want) || fault.HintOf(err) == "" || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		if _, err := c.k.Get("token"); name != "asks" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s, get: %v", name, err)
		}
	}
}
