package guise

import (
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestNothingOfTheHost(t *testing.T) {
	name, _ := os.Hostname()
	id, _ := os.ReadFile("/etc/machine-id")
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	for file, text := range Etc("abcd2345", "agent-one") {
		for _, secret := range []string{name, strings.TrimSpace(string(id)), strings.TrimSpace(string(boot))} {
			if len(secret) > 3 && strings.Contains(text, secret) && secret != "localhost" {
				t.Errorf("%s tells %q", file, secret)
			}
		}
	}
}

func TestEachSandboxHasItsOwn(t *testing.T) {
	for file, form := range map[string]string{"machine-id": "^[0-9a-f]{32}\n$"} {
		one, two := Etc("one", "n")[file], Etc("two", "n")[file]
		if one == two || !regexp.MustCompile(form).MatchString(one) {
			t.Errorf("%s: %q and %q", file, one, two)
		}
	}
	boot := "sys/kernel/random/boot_id"
	form := regexp.MustCompile("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}\n$") // RFC 9562, version 4
	if one, two := Proc("one")[boot], Proc("two")[boot]; one == two || !form.MatchString(one) {
		t.Errorf("%q and %q", one, two)
	}
	if !maps.Equal(Proc("one"), Proc("one")) || !maps.Equal(Etc("one", "n"), Etc("one", "n")) {
		t.Error("the same sandbox changes")
	}
}
