package policy

import "slices"

// builtIn are the names that are masked unless the owner's policy unblocks
// them, each by its name.
var builtIn = slices.Concat(keys, cloud, packages, browsers, passwords, histories, sockets, agents)

// BuiltIn lists the names that are masked unless unblocked.
func BuiltIn() []string { return slices.Clone(builtIn) }

var (
	keys = []string{".ssh", ".gnupg", ".gpg", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_*_sk",
		"private_key", ".secret", ".putty", "*.ppk", "ssh_host_*_key", ".pki", ".vault-token", ".age", ".sops",
		"etc/shadow*", "etc/gshadow*", "etc/sudoers", "etc/sudoers.d", "etc/ssl/private"}
	cloud = []string{".aws", ".azure", ".gcloud", ".kube", ".docker", "credentials", "credentials.json",
		"application_default_credentials.json", ".config/gcloud", ".config/gh", ".config/hub", ".config/glab-cli",
		".config/op", ".config/doctl", ".config/hcloud", ".config/rclone", ".config/configstore", ".config/containers/auth.json",
		".terraform.d", ".terraformrc", ".oci", ".aliyun", ".bluemix", ".heroku", ".netlify", ".fly", ".wrangler",
		".boto", ".s3cfg", ".rclone.conf"}
	packages = []string{".env", ".env.*", ".envrc.private", ".netrc", "_netrc", ".npmrc", ".pypirc", ".git-credentials",
		".cargo/credentials.toml", ".cargo/credentials", ".gem/credentials", ".m2/settings.xml", ".m2/settings-security.xml",
		".gradle/gradle.properties", ".composer/auth.json", ".config/composer/auth.json", ".config/NuGet", ".nuget/NuGet",
		".config/pip", ".pip", ".pgpass", ".my.cnf", ".mylogin.cnf", ".subversion/auth"}
	browsers = []string{".mozilla", ".thunderbird", ".librewolf", ".config/google-chrome*", ".config/chromium",
		".config/BraveSoftware", ".config/microsoft-edge*", ".config/vivaldi*", ".config/opera*", ".config/Signal",
		".config/Slack", ".config/discord", ".var/app", "snap/firefox", "snap/chromium"}
	passwords = []string{".password-store", "*.kdbx", "*.kdb", ".local/share/keyrings", ".gnome2/keyrings",
		".local/share/kwalletd", ".config/Bitwarden*", ".config/keepassxc", ".1password", ".config/1Password", ".authinfo*"}
	histories = []string{".*_history", ".histfile", ".zhistory", ".lesshst", ".viminfo", ".local/share/fish",
		".local/share/nvim/shada", ".local/share/zsh"}
	sockets = []string{"docker.sock", "containerd.sock", "podman.sock", "crio.sock", "buildkitd.sock", "S.gpg-agent*",
		"ssh-*/agent.*", "S.dirmngr", ".X11-unix", ".ICE-unix", ".Xauthority", ".ICEauthority", "user/*/bus",
		"system_bus_socket", "nix/daemon-socket"}
	agents = []string{".credentials.json", ".codex/auth.json", ".local/share/opencode/auth.json", ".gemini/oauth_creds.json",
		".qwen/oauth_creds.json", ".pi/agent/auth.json", ".config/github-copilot", ".config/nacre", ".local/state/nacre",
		".local/share/nacre"}
)

// reserved are places of the host that can never be granted: themselves, and
// (true) all below.
var reserved = map[string]bool{"/": false, "/etc": false, "/proc": true, "/sys": true, "/dev": true, "/run": true,
	"/var/run": true, "/boot": true}
