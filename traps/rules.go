package traps

import "nacre/settings"

// rule names what is a trap because of how it is called. A name is in lower
// case, and one of: a name anywhere; PARENT/NAME; PARENT/*; *.SUFFIX. All below
// a folder that a rule names is under that rule too.
type rule struct {
	kind     Kind
	severity Severity
	why      string
	names    []string
}

// rules hold everywhere but inside git folders.
var rules = []rule{
	{GitConfig, High, "git obeys it, and it can name programs to run", []string{".gitconfig", ".config/git"}},
	{GitRedirect, High, "it tells git where to fetch other repositories from, and where to put them", []string{".gitmodules"}},
	{GitRedirect, Note, "it decides how git shows, merges and filters files", []string{".gitattributes"}},
	{GitHook, High, "git runs hooks from here where it is set up to", settings.Hooks()},
	{GitHook, High, "git runs hooks as this file says, where they are installed", []string{
		"lefthook.yml", "lefthook.yaml", ".lefthook.yml", ".lefthook", ".huskyrc", ".overcommit.yml", ".lintstagedrc", ".lintstagedrc.json"}},
	{ShellStartup, High, "a shell runs it when it starts or ends", []string{
		".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile", ".inputrc",
		".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".kshrc", ".mkshrc", ".shrc", ".cshrc", ".tcshrc", ".login", ".logout",
		".config/fish", ".config/nushell", ".config/powershell", ".xonshrc"}},
	{ShellStartup, High, "a session runs it when it begins", []string{
		".xprofile", ".xinitrc", ".xsession", ".xsessionrc", ".pam_environment", ".config/autostart", ".config/systemd", ".config/environment.d", ".local/bin"}},
	{ShellStartup, High, "the program that it is named after runs it when it starts here", []string{
		".gdbinit", ".lldbinit", ".rprofile", ".irbrc", ".pryrc", ".pdbrc", ".ghci", ".tclshrc", ".psqlrc", ".sqliterc", ".screenrc", ".tmux.conf",
		"sitecustomize.py", "usercustomize.py"}},
	{Environment, High, "a shell loads it on entering the folder", settings.Entering()},
	{Environment, High, "tools that pick versions and variables load it on entering the folder", []string{
		"mise.toml", ".mise.toml", ".config/mise", ".mise", "flox.toml", ".autoenv.zsh", ".autoenv"}},
	{Environment, High, "a package manager or compiler obeys it, and it can name programs to run", []string{
		".npmrc", ".yarnrc", ".yarnrc.yml", ".yarn/releases", ".yarn/plugins", ".pnpmfile.cjs", ".pnpmfile.js", ".cargo/config", ".cargo/config.toml",
		".bazelrc", ".mvn", ".bundle/config", ".curlrc", ".wgetrc", "pip.conf", ".condarc"}},
	{Environment, High, "tools take keys, hosts and helper programs from it", []string{
		".ssh", ".gnupg", ".aws", ".docker/config.json", ".kube", ".netrc", ".pypirc", ".git-credentials"}},
	{Environment, Note, "many programs load variables from it", []string{
		".env", ".env.local", ".env.development", ".env.production", ".env.test"}},
	{Editor, High, "an editor obeys it, and it can name programs to run", settings.Editors()},
	{Editor, High, "an editor obeys it, and it can name programs to run", []string{
		".vs", ".nova", ".helix", ".nvim.lua", ".nvimrc", ".vimrc", ".exrc", ".lvimrc", ".dir-locals.el", ".dir-locals-2.el", ".emacs", ".emacs.d",
		".config/nvim", ".vim", "*.code-workspace", "*.sublime-project", ".devcontainer.json"}},
	{Editor, Note, "editors format by it", settings.Style()},
	{Instructions, High, "a coding agent obeys it, or runs what it names", settings.Agents()},
	{Instructions, High, "a coding agent reads it as if you had said it", settings.Instructions()},
	{Instructions, High, "a coding agent reads it as if you had said it", []string{
		".github/instructions", ".github/prompts", ".github/agents", ".github/skills", "agents.override.md", ".rules", ".goosehints", ".amp",
		"skill.md", ".augment", ".junie", ".trae", ".crush.json", "crush.json", "opencode.json", "opencode.jsonc"}},
	{CI, High, "a build server runs it with its own secrets once it is pushed", []string{
		".github/workflows", ".github/actions", ".gitea/workflows", ".forgejo/workflows", ".gitlab-ci.yml", ".gitlab/ci", ".circleci", ".travis.yml",
		"jenkinsfile", "azure-pipelines.yml", "azure-pipelines.yaml", ".azure-pipelines", "bitbucket-pipelines.yml", ".drone.yml", ".woodpecker.yml",
		".woodpecker", ".buildkite", ".cirrus.yml", "appveyor.yml", ".appveyor.yml", "cloudbuild.yaml", ".teamcity", ".semaphore", ".builds", ".build.yml"}},
	{CI, Note, "a server opens changes by it", []string{"dependabot.yml", "renovate.json", ".renovaterc"}},
	{BuildEntry, Note, "building, testing or installing runs it", []string{
		"makefile", "gnumakefile", "*.mk", "justfile", ".justfile", "taskfile.yml", "taskfile.yaml", "cmakelists.txt", "cmakepresets.json", "meson.build",
		"sconstruct", "wscript", "configure", "configure.ac", "build.sh", "build.ninja", "package.json", "binding.gyp", "gruntfile.js", "gulpfile.js", "deno.json",
		"setup.py", "setup.cfg", "pyproject.toml", "conftest.py", "noxfile.py", "tox.ini", "tasks.py", "fabfile.py", "manage.py", "build.rs", "cargo.toml",
		"build.zig", "pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "gradle.properties", "gradlew", "mvnw",
		"gradlew.bat", "mvnw.cmd", "gradle-wrapper.jar", "gradle-wrapper.properties", "rakefile", "gemfile", "*.gemspec", "composer.json",
		"dockerfile", "containerfile", "docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml", "vagrantfile", "tiltfile",
		"*.csproj", "*.fsproj", "*.vbproj", "*.vcxproj", "*.proj", "*.targets", "*.props", "directory.build.rsp", "build.bazel", "workspace.bazel",
		"module.bazel", "flake.nix", "shell.nix", "default.nix", "dune", "mix.exs", "rebar.config", "package.swift", "procfile", "magefile.go"}},
}

// gitRules hold inside a git folder: a name at its top, or FOLDER/NAME from it.
// Nothing else holds there, since branches may be called anything.
var gitRules = []rule{
	{GitHook, High, "git runs it by itself, on commit, checkout and the like", []string{"hooks/*", "hooks"}},
	{GitConfig, High, "git obeys it, and it can name programs to run", []string{"config", "config.worktree"}},
	{GitHook, High, "git runs the programs that it names once a rebase goes on", []string{"rebase-merge/git-rebase-todo"}},
	{GitRedirect, High, "it sends git to another folder for its configuration and hooks", []string{"commondir", "gitdir"}},
	{GitRedirect, Note, "it decides how git shows, merges and filters files, or hides them from its status", []string{
		"info/attributes", "info/exclude", "info/grafts"}},
}

// The rules by what an entry is.
var (
	newRepository = rule{kind: GitRedirect, why: "a repository that was not there: git obeys its configuration in this folder"}
	gitFile       = rule{kind: GitRedirect, why: "it sends git to another folder for its configuration and hooks"}
	linkOut       = rule{kind: LinkOut, why: "a link that leads out of the folder: what writes or reads there reaches your own files"}
	linkSystem    = rule{kind: LinkOut, severity: Note, why: "a link to a program or library of the system"}
	setID         = rule{kind: SetUID, why: "whoever runs it runs it as its owner or group"}
	device        = rule{kind: Device, why: "a device node: opening it reaches hardware or the kernel"}
	fifo          = rule{kind: FIFO, why: "a pipe: a program that reads it waits for ever"}
	socket        = rule{kind: Socket, why: "a socket: connecting to it reaches whatever listens there"}
	hostileName   = rule{kind: HostileName, why: "its name deceives a terminal, a shell or whoever reads it"}
	tooDeep       = rule{kind: Unseen, why: "it lies too deep for most programs, and was not looked into"}
	unreadable    = rule{kind: Unseen, why: "it cannot be opened, and was not looked into"}
)

// packages are folders of installed packages; ordinary are the kinds that are
// plain content of theirs.
var (
	packages = map[string]bool{"node_modules": true, "bower_components": true, "site-packages": true, "vendor": true, ".venv": true, "venv": true,
		".tox": true, ".pnpm-store": true, ".cargo": true, ".gradle": true}
	ordinary = map[Kind]bool{BuildEntry: true, CI: true, Editor: true}
)

// system are the places that links may lead to as a matter of course: not the
// owner's to write, and without secrets.
var system = []string{"/usr/", "/bin/", "/lib/", "/lib64/", "/nix/store/"}
