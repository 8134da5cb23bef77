package rules

import (
	"slices"
	"strings"
	"testing"
)

// layer is a package's place in docs/ARCHITECTURE.md. An import may only point
// down or sideways.
type layer int

const (
	vocabulary layer = iota // L0
	core                    // L1
	engines                 // L2
	doors                   // L3: command line, control socket, terminal
	commands                // L4
	beside                  // tests and tools, which nothing imports
)

// place is one package: its layer, and its ceiling in lines of code if it is
// trusted. What is trusted must be read by whoever wants to trust it.
type place struct {
	layer   layer
	ceiling int // 0: not part of the trusted core
}

// places lists every package. A new one gets a line here, and with it a layer.
var places = map[string]place{
	".":     {layer: vocabulary, ceiling: 266},
	"fault": {layer: vocabulary, ceiling: 57},

	"strict":            {layer: core, ceiling: 269},
	"settings":          {layer: core, ceiling: 17},
	"manifest":          {layer: core, ceiling: 481},
	"policy":            {layer: core, ceiling: 496},
	"compile":           {layer: core, ceiling: 372},
	"seccomp":           {layer: core, ceiling: 155},
	"sandbox":           {layer: core, ceiling: 476},
	"sandbox/blueprint": {layer: core, ceiling: 232},
	"sandbox/build":     {layer: core, ceiling: 657},
	"sandbox/reap":      {layer: core, ceiling: 251},
	"sandbox/limits":    {layer: core, ceiling: 81},
	"sandbox/layer":     {layer: core, ceiling: 51},
	"sandbox/spawn":     {layer: core, ceiling: 147},
	"sandbox/notify":    {layer: core, ceiling: 72},
	"sandbox/lockdown":  {layer: core, ceiling: 113},
	"egress":            {layer: core, ceiling: 219},
	"vault":             {layer: core, ceiling: 31},
	"posture":           {layer: core, ceiling: 142},
	"audit":             {layer: core, ceiling: 332},
	"engine/native":     {layer: engines, ceiling: 1029},
	"cmd/nacre-init":    {layer: commands, ceiling: 19},

	"gateway":           {layer: engines},
	"gateway/budget":    {layer: engines},
	"gateway/capture":   {layer: engines},
	"gateway/launch":    {layer: engines},
	"gateway/mcp":       {layer: engines},
	"gateway/model":     {layer: engines},
	"gateway/stdio":     {layer: engines},
	"gateway/websocket": {layer: engines},
	"gateway/wire":      {layer: engines},

	"sandbox/cgroup":   {layer: engines},
	"sandbox/inside":   {layer: engines},
	"sandbox/watchdog": {layer: engines},

	"vault/keyring": {layer: engines},
	"vault/store":   {layer: engines},

	"toolserver/bridge": {layer: engines},

	"auditlog/export": {layer: engines},
	"seccomp/replay":  {layer: core},

	"egress/intent":  {layer: core},
	"explain":        {layer: core},
	"fault/advice":   {layer: core},
	"tools":          {layer: core},
	"remedy":         {layer: core},
	"grant":          {layer: core},
	"mountlist":      {layer: core},
	"auditlog":       {layer: engines},
	"denials":        {layer: engines},
	"learn":          {layer: engines},
	"traps":          {layer: engines},
	"schema":         {layer: core},
	"preset":         {layer: core},
	"attack/wire":    {layer: core},
	"jobs":           {layer: engines},
	"room":           {layer: engines},
	"runs":           {layer: engines},
	"install":        {layer: engines},
	"gitconfig":      {layer: engines},
	"guise":          {layer: engines},
	"watch":          {layer: engines},
	"toolserver":     {layer: engines},
	"image":          {layer: engines},
	"image/ask":      {layer: doors},
	"pool":           {layer: engines},
	"harness":        {layer: engines},
	"harness/home":   {layer: engines},
	"harness/layer":  {layer: engines},
	"harness/npm":    {layer: engines},
	"harness/result": {layer: engines},
	"harness/script": {layer: engines},
	"skills":         {layer: engines},
	"acp":            {layer: engines},
	"skill":          {layer: engines},
	"skill/begin":    {layer: engines},
	"skill/check":    {layer: engines},
	"skill/foreign":  {layer: engines},
	"skill/lock":     {layer: engines},
	"skill/part":     {layer: engines},
	"skill/sign":     {layer: engines},
	"skill/store":    {layer: engines},
	"skill/shelf":    {layer: doors},
	"doctor":         {layer: doors},
	"attack":         {layer: engines},
	"load":           {layer: doors},
	"terminal":       {layer: doors},
	"client":         {layer: doors},
	"localapi":       {layer: doors},
	"localapi/api":   {layer: doors},
	"localapi/wire":  {layer: doors},
	"cli":            {layer: doors},

	// The built-in assistant runs inside, and is trusted with nothing.
	"assistant":         {layer: engines},
	"assistant/channel": {layer: engines},
	"assistant/mcp":     {layer: engines},
	"assistant/tool":    {layer: engines},

	"cmd/nacre":         {layer: commands},
	"cmd/nacre-image":   {layer: commands},
	"cmd/nacre-bridge":  {layer: commands},
	"cmd/nacre-attack":  {layer: commands},
	"cmd/nacre-gateway": {layer: commands},
	"cmd/nacre-harness": {layer: commands},

	"cmd/nacre-assistant":          {layer: commands},
	"cmd/nacre-assistant/provider": {layer: commands},

	"channel":      {layer: engines},
	"channel/echo": {layer: engines},
	"strictjson":   {layer: core},
	"pattern":      {layer: core},
	"idle":         {layer: engines},
	"unseen":       {layer: core},

	"channel/channeltest":  {layer: beside},
	"examples/channel":     {layer: beside},
	"attack/attacktest":    {layer: beside},
	"demo":                 {layer: beside},
	"examples":             {layer: beside},
	"seccomp/generate":     {layer: beside},
	"packaging":            {layer: beside},
	"packaging/sbom":       {layer: beside},
	"packaging/share":      {layer: beside},
	"test/agents":          {layer: beside},
	"test/assistant":       {layer: beside},
	"test/bench":           {layer: beside},
	"test/boundary":        {layer: beside},
	"test/fakemodel":       {layer: beside},
	"test/fakemodel/serve": {layer: beside},

	"test/fakemodel/outside": {layer: beside},

	"test/faults":     {layer: beside},
	"test/programs":   {layer: beside},
	"test/rules":      {layer: beside},
	"test/run":        {layer: beside},
	"test/types":      {layer: beside},
	"test/vm":         {layer: beside},
	"test/vm/guest":   {layer: beside},
	"test/vm/job":     {layer: beside},
	"test/vm/machine": {layer: beside},
	"test/vm/matrix":  {layer: beside},
	"test/window":     {layer: beside},
}

// coreCeiling is what all trusted packages together may have.
const coreCeiling = 6000

// TestCeilings keeps the trusted core small enough to be read in an afternoon.
// Counted are lines of code: no blank lines, comments, tests, generated files.
func TestCeilings(t *testing.T) {
	packages := tree(t)
	var code, all int
	for name, where := range places {
		if where.ceiling == 0 {
			continue
		}
		p, ok := packages[name]
		if !ok {
			t.Errorf("%s is not there: take it out of the table", name)
			continue
		}
		c, a := p.sum()
		code, all = code+c, all+a
		t.Logf("%-18s %5d of %5d lines of code, %5d lines in all", name, c, where.ceiling, a)
		if c > where.ceiling {
			t.Errorf("%s has %d lines of code, over its ceiling of %d", name, c, where.ceiling)
		}
	}
	promised := 0
	for _, where := range places {
		promised += where.ceiling
	}
	if promised > coreCeiling {
		t.Errorf("the packages' ceilings add up to %d, over %d", promised, coreCeiling)
	}
	t.Logf("%-18s %5d of %5d lines of code, %5d lines in all", "the core", code, coreCeiling, all)
	if code > coreCeiling {
		t.Errorf("the core has %d lines of code, over its ceiling of %d", code, coreCeiling)
	}
}

// module is what import paths of this tree begin with.
const module = "nacre"

// inside turns an import path into a folder of this tree.
func inside(path string) (folder string, ok bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// TestLayers: every package has a layer, and imports nothing above it.
func TestLayers(t *testing.T) {
	for name, p := range tree(t) {
		here, ok := places[name]
		if !ok {
			t.Errorf("%s has no layer: give it one in test/rules and in docs/ARCHITECTURE.md", name)
			continue
		}
		for path, where := range p.imports() {
			folder, ours := inside(path)
			if !ours {
				continue
			}
			if there, known := places[folder]; known && there.layer > here.layer {
				t.Errorf("%s imports %s, which lies above it", where, path)
			} else if here.ceiling > 0 && there.ceiling == 0 && !slices.Contains(untrusted[name], folder) {
				t.Errorf("%s is of the trusted core and imports %s, which is not", where, path)
			}
		}
	}
}

// untrusted are packages outside the core that packages of the core may use.
var untrusted = map[string][]string{
	"engine/native": {
		"sandbox/cgroup",   // makes groups; sandbox/limits, which does not ask it, sees the kernel hold every limit and the process in them
		"sandbox/watchdog", // reads /proc and ends the sandbox, where the owner accepted that the kernel bounds no memory; it can do nothing else
		"jobs",             // copies streams, and hears how commands ended and why; the pipes are made, and what is written is counted, in engine/native
		"runs",             // remembers what to take away after a crash; a fault there leaves something behind, it opens nothing
		"denials",          // has what was denied answered, and counts it; a fault there miscounts or leaves it waiting, since sandbox/notify can answer nothing but an error
		"install",          // reads which ids the owner may map, and has newuidmap, which looks that up by itself, map them; posture reads the maps back
		"guise",            // makes up texts for files inside, which only the agent reads
		"watch",            // adds masks to a running sandbox, or ends it, and guards to those that go by name; a fault there leaves the masks and guards of a scan
	},
}

// ban is imports that some packages may not have.
type ban struct {
	of      func(name string) bool
	imports []string // a path, or a path/... with all below
	reason  string
}

func oneOf(names ...string) func(string) bool {
	return func(name string) bool { return slices.Contains(names, name) }
}

func trusted(name string) bool { return places[name].ceiling > 0 }

var bans = []ban{
	{oneOf("strict", "manifest", "policy", "grant", "compile", "explain", "schema", "seccomp", "settings", "remedy", "tools"),
		[]string{"os/...", "net", "net/http/...", "syscall", "path/filepath", "io/fs", "io/ioutil", "crypto/rand", "math/rand/...", "runtime/..."},
		"it decides, and does no input or output: the same question always has the same answer"},
	{trusted, []string{"log/...", "flag", "net/http/...", "plugin", "testing", "html/template", "text/template", "database/sql", "net/rpc", "encoding/gob", "os/user"},
		"the core has no logger, no flags, no web server, and no decoder of more than it must"},
	{oneOf(".", "fault"), []string{"golang.org/...", "github.com/...", "go.yaml.in/..."},
		"the vocabulary is for everybody: standard library only"},
	{func(name string) bool { return places[name].layer < commands && name != "cli" }, []string{"github.com/spf13/..."},
		"the command line is one package"},
	{func(name string) bool { return !strings.HasPrefix(name, "cmd/nacre-attack") }, []string{"unsafe"}, "dangerous code is named: list the file in danger_test.go"},
	{func(string) bool { return true }, []string{"C"}, "Nacre is built without C"},
}

// TestBans: nobody imports what they may not have.
func TestBans(t *testing.T) {
	for name, p := range tree(t) {
		for path, where := range p.imports() {
			for _, b := range bans {
				if !b.of(name) || !slices.ContainsFunc(b.imports, func(pattern string) bool { return covers(pattern, path) }) {
					continue
				}
				if _, ok := unsafeFiles[where]; ok && path == "unsafe" {
					continue
				}
				t.Errorf("%s imports %s: %s", where, path, b.reason)
			}
		}
	}
}

func covers(pattern, path string) bool {
	if folder, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == folder || strings.HasPrefix(path, folder+"/")
	}
	return pattern == path
}

// foreign are the modules that the trusted core uses, and where. Each is told
// of in docs/DEPENDENCIES.md.
var foreign = map[string][]string{
	"strict":         {"go.yaml.in/yaml/v3"},
	"policy":         {},
	"seccomp":        {"golang.org/x/sys/unix"},
	"audit":          {"golang.org/x/sys/unix"},
	"engine/native":  {"golang.org/x/sys/unix"},
	"sandbox/limits": {"github.com/opencontainers/cgroups"},
}

// TestForeign: the core uses no module but those it is known to use.
func TestForeign(t *testing.T) {
	for name, p := range tree(t) {
		if !trusted(name) {
			continue
		}
		allowed := foreign[name]
		if strings.HasPrefix(name, "sandbox") {
			allowed = append(slices.Clone(allowed), "golang.org/x/sys/unix")
		}
		for path, where := range p.imports() {
			host, _, _ := strings.Cut(path, "/")
			if strings.Contains(host, ".") && !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s, which the core does not use so far", where, path)
			}
		}
	}
}

// initImports are all packages outside the standard library that nacre-init is
// made of, and all of the standard library that these import themselves. What
// runs inside the boundary can be read whole.
var initImports = []string{
	"nacre/cmd/nacre-init", "nacre/sandbox/blueprint", "nacre/sandbox/build", "nacre/sandbox/layer", "nacre/sandbox/reap", "golang.org/x/sys/unix",
	"bytes", "encoding/json", "errors", "fmt", "os", "path", "runtime", "slices", "strconv", "strings", "sync", "syscall", "unicode/utf8", "unsafe",
}

// TestInitDependencies: an exact list, so that nothing slips into init.
func TestInitDependencies(t *testing.T) {
	packages := tree(t)
	found := map[string]bool{}
	queue := []string{module + "/cmd/nacre-init"}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		if found[path] {
			continue
		}
		found[path] = true
		if folder, ours := inside(path); ours {
			for next := range packages[folder].imports() {
				queue = append(queue, next)
			}
		}
	}
	for path := range found {
		if !slices.Contains(initImports, path) {
			t.Errorf("nacre-init has come to depend on %s", path)
		}
	}
	for _, path := range initImports {
		if !found[path] {
			t.Errorf("nacre-init no longer depends on %s: take it out", path)
		}
	}
}

// TestTable: the table names only what exists.
func TestTable(t *testing.T) {
	packages := tree(t)
	for name := range places {
		if _, ok := packages[name]; !ok {
			t.Errorf("%s is in the table and not in the tree: take it out", name)
		}
	}
}
