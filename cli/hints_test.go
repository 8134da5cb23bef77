package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"nacre/fault"
	"nacre/fault/advice"
)

// refusals are commands that are refused, in a folder with what makeWrong makes, and a
// part of what each says that is to be done: something that its error does not say.
// An empty one has no better advice than that of its kind.
var refusals = []struct{ command, hint string }{
	{"run", "nacre run [flags] -- COMMAND"},
	{"run --agent absent.yaml", "nacre learn -- COMMAND writes one"},
	{"run --agent loop1", "ls -l shows where each leads"},
	{"run --agent fifo", "name the file itself"},
	{"run --agent folder", "name the file itself"},
	{"run --agent sparse", "whether it is the right one"},
	{"run --agent empty.yaml", "nacre schema agent"},
	{"run --agent name.yaml", "nacre schema agent"},
	{"run --agent key.yaml", `did you mean "command"?`},
	{"run --agent stage.yaml", "grant write to a copy"},
	{"run --agent preset.yaml", "the presets are go, nix, node"},
	{"run --agent near.yaml", `did you mean "npm"?`},
	{"run --agent places.yaml", "the presets are anthropic,"},
	{"run --agent memory.yaml", "limits: {memory: 4GB}"},
	{"run --agent messages.yaml --policy messages-policy.yaml", "leave it out of the manifest"},
	{"run --agent memory.yaml --with codex", "leave one out"},
	{"run --agent empty.yaml/x", "ls -ld shows which"},
	{"run --policy absent.yaml -- true", "nacre policy init"},
	{"run --policy loop1 -- true", "ls -l shows where each leads"},
	{"run --policy unblocked.yaml -- true", "nacre schema policy"},
	{"run --policy open.yaml -- true", "chmod go-w"},
	{"run --policy-x", "--help lists the flags"},
	{"run --files folder:stage -- true", "grant write to a copy"},
	{"run --files folder:wirte -- true", `did you mean "write"?`},
	{"run --files absent -- true", ""},
	{"run --files loop1 -- true", "ls -l shows where links lead"},
	{"run --files link -- true", "name the folder itself: "},
	{"run --files fifo -- true", "grant a folder or a file"},
	{"run --files preset:emacs -- true", "the presets are go, nix, node"},
	{"run --files /etc -- true", "ask for less"},
	{"run --limit memroy=1GiB -- true", `did you mean "memory"?`},
	{"run --limit memries=1GiB -- true", "the limits are memory, cpus,"},
	{"run --env A;B=c -- true", ""},
	{"run --name No;Good -- true", "nacre run --help"},
	{"run --workdir folder -- true", "nacre run --help"},
	{"run --accept nothing -- true", "the tiers are"},
	{"run --timeout -1s -- true", ""},
	{"run --tty=always -- true", "pipes"},
	{"run --tty never true", "--tty=never"},
	{"run --json-events /absent/x -- true", "look whether it is there"},
	{"run --json-events 77 -- true", "3>events.jsonl"},
	{"run --output json -- true", "comes as it is"},
	{"run --resume -- x", "nacre run --with"},
	{"run --with codex --resume -- x", "give --home the name"},
	{"run --with codexx -- x", `did you mean "codex"?`},
	{"run --with nobody -- x", "nacre run --with, without a name, lists them"},
	{"run --with ./folder -- x", "nacre skill new"},
	{"run --with ./kind -- x", "a harness has a harness.yaml"},
	{"run --with command", "nacre run --with command"},
	{"run --tool absent", "nacre skill add"},
	{"run --tool x -- y", "nacre run --tool x"},
	{"run --image x -- true", "NAME@sha256:"},
	{"run --image directory:/absent -- true", "debootstrap"},
	{"run -- absent", "nacre plan shows them"},
	{"run --files program -- /work/program", "chmod +x"},
	{"run --files foreign -- /work/foreign", "nacre run -- ls -l PROGRAM"},
	{"acp", "nacre acp --with"},
	{"acp --with gemini-cli --files folder@/x", "leave @/INSIDE out"},
	{"acp --with codex --files folder", "--with command -- PROGRAM"},
	{"acp --with command --files folder", "-- PROGRAM [ARGUMENT]..."},
	{"attack --bogus", "--help lists the flags"},
	{"audit bogus", "nacre audit --help"},
	{"audit show --since x", ""},
	{"audit show --kind [", "sandbox.*"},
	{"audit checkpoint", "the first run begins"},
	{"audit export --format x", ""},
	{"audit follow --kind [", "sandbox.*"},
	{"audit key x", "--help"},
	{"audit prove x", "nacre audit show prints them"},
	{"audit prune", "--help has examples"},
	{"audit rotate x", "--help"},
	{"audit verify --checkpoint absent", "nacre audit checkpoint makes it"},
	{"audit verify --key x", "nacre audit key prints"},
	{"completion x", ""},
	{"doctor x", "--help"},
	{"exec absent true", "nacre ps lists them"},
	{"explain filez x read", `did you mean "files"?`},
	{"explain network x", "'GET https://example.com/'"},
	{"explain limits memory", "memory=4GiB"},
	{"harness bogus", "--help lists the commands"},
	{"harness install absent", "nacre run --with"},
	{"harness list x", "--help"},
	{"harness show absent", "nacre run --with"},
	{"learn", "nacre learn [flags] -- COMMAND"},
	{"learn answer absent", "nacre ps lists them"},
	{"logs absent", "nacre ps lists what runs"},
	{"plan", "put it after --"},
	{"plan --diff absent -- true", "look whether it is there"},
	{"plan --diff empty.yaml -- true", "nacre plan --json writes one"},
	{"policy allow", "--help has examples"},
	{"policy allow x y", "the policy line itself"},
	{"policy allow limits memory", "memory=4GiB"},
	{"policy check absent", "nacre policy init"},
	{"policy import name.yaml", "allowedRoots"},
	{"policy init x", "--help"},
	{"policy providers x", "--help"},
	{"policy show x", "--help"},
	{"posture absent", "nacre ps lists them"},
	{"ps x", "--help"},
	{"rum", "did you mean nacre run?"},
	{"schema x", ""},
	{"secret list x", "--help"},
	{"secret rm absent", "nacre secret set absent"},
	{"secret rotate absent", "printf"},
	{"secret set a", "printf"},
	{"skill add absent", "from an archive"},
	{"skill add folder", "nacre skill new"},
	{"skill add git+https://x", "git+https://github.com/OWNER/REPOSITORY"},
	{"skill add oci:x", "expected NAME:TAG"},
	{"skill import folder", "~/.claude/skills"},
	{"skill list x", "--help"},
	{"skill new kind", "give another name"},
	{"skill new x --kind y", "expected one of"},
	{"skill pack folder", "nacre skill new"},
	{"skill rm absent", "nacre skill add"},
	{"skill show absent", "nacre skill add"},
	{"skill sign", ""},
	{"skill sign --new-key empty.yaml", "name another file"},
	{"skill update absent", "nacre skill add"},
	{"skill verify absent", "nacre skill add"},
	{"stats absent", "nacre ps lists them"},
	{"stop absent", "nacre ps lists them"},
	{"version x", "--help"},
}

// makeWrong makes what the refusals are about, in the current folder.
func makeWrong(t *testing.T) {
	t.Helper()
	for name, text := range map[string]string{
		"empty.yaml": "", "name.yaml": "version: 1\nname: A_b\ncommand: [x]\n", "key.yaml": "version: 1\nname: a\ncomand: [x]\n",
		"stage.yaml":    "version: 1\nname: a\ncommand: [x]\nfiles: [{path: folder, access: stage}]\n",
		"preset.yaml":   "version: 1\nname: a\ncommand: [x]\nfiles: [{preset: emacs}]\n",
		"near.yaml":     "version: 1\nname: a\ncommand: [x]\nnetwork: [{preset: npn}]\n",
		"places.yaml":   "version: 1\nname: a\ncommand: [x]\nnetwork: [{preset: nowhere}]\n",
		"memory.yaml":   "version: 1\nname: a\ncommand: [x]\nlimits: {memory: 4GB}\n",
		"messages.yaml": "version: 1\nname: a\ncommand: [x]\nmessages: [{with: x, access: [send]}]\n", "messages-policy.yaml": "version: 1\nmessages: [{with: x, access: [send]}]\n",
		"unblocked.yaml": "version: 1\nfiles: {unblocked: [nothing-like-it]}\n", "open.yaml": "version: 1\n",
		"program": "#!/bin/sh\n", "foreign": "\x7fELF nothing that this machine runs", "folder/x": "", "kind/SKILL.md": "---\nname: kind\ndescription: x\n---\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.Symlink("loop2", "loop1"), os.Symlink("loop1", "loop2"), os.Symlink("folder", "link"), syscall.Mkfifo("fifo", 0o600),
		os.Truncate("sparse", 0), os.WriteFile("sparse", make([]byte, 2<<20), 0o600), os.Chmod("open.yaml", 0o666), os.Chmod("foreign", 0o755),
	} {
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// said runs a command line and returns its exit code and what it printed. A semicolon in
// a word stands for a space.
func said(t *testing.T, line string) (code int, errs string) {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "said")
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	defer null.Close()
	home := filepath.Join(filepath.Dir(out.Name()), "home") // which is not there: nothing was done before
	app := &App{In: null, Out: null, Err: out, Program: filepath.Join(os.Getenv("NACRE_BIN"), "nacre"), Environ: func() []string { return []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")} }}
	args := strings.Fields(line)
	if args[0] == "run" && os.Geteuid() != 0 {
		args = append([]string{"run", "--accept=limits-watchdog", "--accept=owner-uid"}, args[1:]...)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], ";", " ")
	}
	code = Main(context.Background(), app, args)
	b, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return code, string(b)
}

// TestRefusals: whatever is refused, by whichever command, says in two lines what is wrong
// and what to do about it.
func TestRefusals(t *testing.T) {
	t.Chdir(t.TempDir())
	makeWrong(t)
	general := map[string]bool{}
	for _, kind := range []fault.Kind{fault.Internal, fault.Invalid, fault.Denied, fault.Unsupported, fault.Conflict, fault.Exhausted, fault.Tampered} {
		general[advice.Of(fault.New(kind, ""), "")] = true
	}
	for _, c := range refusals {
		code, errs := said(t, c.command)
		_, errs, found := strings.Cut("\n"+errs, "\nerror: ")
		what, hint, two := strings.Cut(strings.TrimSuffix(errs, "\n"), "\nhint: ")
		switch {
		case code < 125 || !found || !two || strings.Contains(hint, "\n") || strings.TrimSpace(hint) == "":
			t.Errorf("nacre %s: ended with %d, not with an error and a hint: %q", c.command, code, errs)
		case !strings.Contains(hint, c.hint) || c.hint != "" && strings.Contains(what, c.hint) || general[hint]:
			t.Errorf("nacre %s: %s\nhint: %s\nwant more than the error says: %q", c.command, what, hint, c.hint)
		}
	}
}

// TestEveryCommandIsRefused: the refusals are those of all commands.
func TestEveryCommandIsRefused(t *testing.T) {
	walk(Root(&App{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ}), func(c *cobra.Command) {
		path, refused := strings.TrimPrefix(c.CommandPath(), "nacre "), false
		for _, r := range refusals {
			refused = refused || strings.HasPrefix(r.command+" ", path+" ")
		}
		if c.Runnable() && c.HasParent() && c.Name() != "exit-codes" && !refused { // which prints its help, whatever follows
			t.Errorf("no refusal of %q is tried", c.CommandPath())
		}
	})
}
