package doctor

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// machine is what the check of user namespaces looks at.
type machine struct {
	files   fs.FS // the root of all files
	root    bool  // the caller is root
	program string
}

func (m machine) read(name string) string {
	b, err := fs.ReadFile(m.files, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.TrimRight(string(b), "\x00"))
}

func (m machine) has(name string) bool {
	_, err := fs.Stat(m.files, name)
	return err == nil
}

// userNamespaces looks at the switches that distributions have.
func (m machine) userNamespaces() Check {
	c := Check{Name: "user namespaces", Required: true, OK: true, Found: "available"}
	fail := func(found, remedy string) { c.OK, c.Found, c.Remedy = false, found, remedy }
	const most, clone = "proc/sys/user/max_user_namespaces", "proc/sys/kernel/unprivileged_userns_clone"
	switch {
	case !m.has("proc/self/ns/user"):
		fail("not in this kernel", "use a kernel with CONFIG_USER_NS")
	case m.read(most) == "0":
		fail("/"+most+" is 0", "sysctl user.max_user_namespaces=10000, as an administrator")
	case m.root:
	case m.read(clone) == "0":
		fail("/"+clone+" is 0", "sysctl kernel.unprivileged_userns_clone=1, as an administrator")
	case m.read(restriction) == "1":
		m.appArmor(&c)
	}
	return c
}

// Where Ubuntu's restriction stands, and where the profile against it does.
const (
	restriction = "proc/sys/kernel/apparmor_restrict_unprivileged_userns"
	profile     = "etc/apparmor.d/nacre"
)

// attached are the programs that the profile is for.
var attached = []string{"/usr/bin/nacre", "/usr/local/bin/nacre"}

// appArmor completes the check where user namespaces are for programs with a
// profile only. Which one this program has, the kernel says.
func (m machine) appArmor(c *Check) {
	label := m.read("proc/self/attr/apparmor/current")
	if label == "" {
		label = m.read("proc/self/attr/current")
	}
	if label != "" && label != "unconfined" {
		c.Found = "restricted by AppArmor; this program has the profile " + label
		return
	}
	c.OK, c.Found = false, "restricted by AppArmor (/"+restriction+" is 1), and this program has no profile"
	source := filepath.Join(filepath.Dir(m.program), "../share/nacre/apparmor/nacre")
	if !m.has(strings.TrimPrefix(source, "/")) {
		source = "packaging/apparmor/nacre" // in the source tree
	}
	c.Remedy = "apparmor_parser -r /" + profile + ", as an administrator"
	if !slices.Contains(attached, m.program) {
		c.Remedy = "add " + m.program + " to the line in it that begins with profile (it has " + strings.Join(attached, " and ") + "); then " + c.Remedy
	}
	if !m.has(profile) {
		c.Remedy = "install -m 644 " + source + " /" + profile + "; " + c.Remedy
	}
}
