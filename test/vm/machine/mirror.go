package machine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nacre/fault"
)

// releases are the suites by which apt's sources may name a Debian archive.
var releases = []string{"bullseye", "bookworm", "trixie", "forky", "sid", "oldoldstable", "oldstable", "stable", "testing", "unstable"}

// mirror is the Debian archive that apt on this machine is configured with.
func mirror(ctx context.Context) (string, error) {
	out, err := output(ctx, "", "apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages")
	if err != nil {
		return "", err
	}
	if uri := archive(out); uri != "" {
		return uri, nil
	}
	return "", fault.New(fault.Unsupported, "apt on this machine has no Debian archive to make a test machine from").
		WithHint("run this on Debian, or put a finished cache folder at NACRE_CACHE")
}

// archive picks the Debian archive from lines of suite, component and address.
func archive(targets string) string {
	for line := range strings.Lines(targets) {
		f := strings.Fields(line)
		if len(f) == 3 && f[1] == "main" && slices.Contains(releases, f[0]) {
			return strings.TrimSuffix(f[2], "/")
		}
	}
	return ""
}

// apt is a private set of apt's folders for one suite and architecture; the
// machine's own lists and packages are left alone, its settings apply.
type apt struct{ dir, arch string }

func newApt(ctx context.Context, dir, arch, suite string) (apt, error) {
	a := apt{dir, arch}
	uri, err := mirror(ctx)
	if err != nil {
		return a, err
	}
	for _, d := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return a, err
		}
	}
	list := fmt.Sprintf("deb [signed-by=%s] %s %s main\n", keyring, uri, suite)
	for name, text := range map[string]string{"sources.list": list, "state/status": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return a, err
		}
	}
	_, err = a.run(ctx, "apt-get", "update", "-q", "--error-on=any")
	return a, err
}

func (a apt) run(ctx context.Context, name string, args ...string) (string, error) {
	options := []string{
		"-o", "Dir::State=" + a.dir + "/state",
		"-o", "Dir::State::status=" + a.dir + "/state/status",
		"-o", "Dir::Cache=" + a.dir + "/cache",
		"-o", "Dir::Etc::sourcelist=" + a.dir + "/sources.list",
		"-o", "Dir::Etc::sourceparts=/dev/null",
		"-o", "APT::Architecture=" + a.arch,
		"-o", "APT::Architectures=" + a.arch,
		"-o", "APT::Sandbox::User=root",
		"-o", "Acquire::Languages=none",
		"-o", "Acquire::Retries=3",
	}
	return output(ctx, a.dir, name, append(options, args...)...)
}

// kernelPackage is the package that a kernel's metapackage stands for.
func (a apt) kernelPackage(ctx context.Context) (string, error) {
	out, err := a.run(ctx, "apt-cache", "show", "--no-all-versions", "linux-image-cloud-"+a.arch)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if deps, ok := strings.CutPrefix(line, "Depends: "); ok {
			return strings.Fields(deps)[0], nil
		}
	}
	return "", fault.New(fault.Unsupported, "the archive has no cloud kernel for %s", a.arch)
}

// proxy is what apt is configured with; debootstrap does not read its settings.
func proxy(ctx context.Context) (string, error) {
	out, err := output(ctx, "", "apt-config", "dump", "--format", "%v%n", "Acquire::http::Proxy")
	return strings.TrimSpace(out), err
}
