// Package manifest is the grammar of agent.yaml: what an agent asks for. A
// manifest is written by the agent's author and is not trusted; parsing one
// grants nothing. The types of single capabilities serve the policy too, so
// that what may be granted is written exactly as what is asked for.
package manifest

import (
	"nacre"
	"nacre/strict"
)

// Manifest is a parsed agent.yaml.
type Manifest struct {
	Version      int                 `yaml:"version,required" match:"^1$" about:"the version of this grammar: 1"`
	Name         string              `yaml:"name,required" match:"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" about:"what the agent calls itself: lower-case letters, digits and hyphens, at most 63"`
	Description  string              `yaml:"description" about:"one line for people"`
	Command      []string            `yaml:"command" match:"^[^\\x00]*$" about:"the program and its arguments, as a list, without NUL"`
	Image        strict.Text         `yaml:"image" match:"^(host|oci:[a-zA-Z0-9][a-zA-Z0-9._:/-]*@sha256:[0-9a-f]{64}|(directory|layout|archive):.+)$" about:"host (default), oci:NAME with its digest @sha256:…, directory:PATH, layout:PATH or archive:PATH"`
	Workdir      string              `yaml:"workdir" match:"^/" about:"where the command starts, inside; default: the first granted folder, else /home/agent"`
	Environment  map[string]Variable `yaml:"environment" about:"variables: a fixed value, or {from: owner}"`
	Files        []File              `yaml:"files" about:"folders and files of the host, or read-only presets"`
	Capabilities                     // inline
	Loopback     bool                `yaml:"loopback" about:"may the sandbox's own loopback be used? default: true"`
	Origin       nacre.Origin
}

// Capabilities are the requests that a manifest makes, and that a policy
// allows, in the same words.
type Capabilities struct {
	Network  []Network     `yaml:"network" about:"destinations that may be reached"`
	Secrets  []Secret      `yaml:"secrets" about:"secrets that the gateway uses for the agent"`
	Models   []Model       `yaml:"models" about:"model providers, models and budgets"`
	Tools    []Tool        `yaml:"tools" about:"tool servers and their tools"`
	Messages []Message     `yaml:"messages" about:"who may be written to, and who may write"`
	Schedule []Job         `yaml:"schedule" about:"times at which the agent is woken"`
	Devices  []strict.Text `yaml:"devices" match:"^[A-Za-z0-9*][A-Za-z0-9._*/:@-]{0,127}$" about:"devices, by name"`
	Syscalls []strict.Text `yaml:"syscalls" match:"^[A-Za-z0-9*][A-Za-z0-9._*/:@-]{0,127}$" about:"groups of system calls beyond the base list"`
	Skills   []strict.Text `yaml:"skills" match:"^[a-z0-9*-]{1,64}$" about:"skills of the owner's to read, by their names in nacre.lock"`
	Limits   Limits        `yaml:"limits" about:"what the sandbox may use: asked for in a manifest, the most in a policy"`
}

// Variable is one environment variable that is asked for.
type Variable struct {
	Value  string `yaml:",scalar"`
	From   string `yaml:"from" oneof:"owner" about:"owner: the owner's own value, if the policy offers that name"`
	Origin nacre.Origin
}

// File is a folder or file of the host that is asked for, or a preset.
type File struct {
	Path   string       `yaml:"path,scalar" about:"on the host; relative to the manifest's folder; ~/ is the owner's home"`
	At     string       `yaml:"at" about:"where it appears inside; default /work/NAME"`
	Access nacre.Access `yaml:"access" oneof:"read write stage" about:"read (default) or write; stage is reserved"`
	Preset string       `yaml:"preset" about:"a read-only preset in place of a path, at the same place inside"`
	Reason string       `yaml:"reason" about:"why"`
	Origin nacre.Origin
}

// Network is a destination, in the words of the grant that it may become.
type Network struct {
	nacre.NetworkGrant
	Preset string `yaml:"preset" about:"in place of a host: destinations that Nacre knows, such as npm or github"`
	Access string `yaml:"access" oneof:"read write git" about:"read (default): GET, HEAD, OPTIONS; write: POST, PUT, PATCH, DELETE too; git: fetch, and push to what push says"`
	Reason string `yaml:"reason" about:"why"`
	Origin nacre.Origin
}

// Secret is a secret that the gateway puts into requests; it stays outside.
type Secret struct {
	Name   string   `yaml:"name,required" match:"^[A-Za-z0-9*][A-Za-z0-9._*/:@-]{0,127}$" about:"its name in the vault"`
	Hosts  []string `yaml:"hosts,some" about:"the places it may be sent to: HOST, HOST:PORT, HOST/PATH, as in api.example.com/v1/**"`
	Slot   string   `yaml:"slot" match:"^(bearer|basic|(header|query):[A-Za-z0-9_-]{1,64}|ssh(:[a-z_][a-z0-9_-]{0,31})?|sigv4:[a-z0-9*-]{1,32}/[a-z0-9*-]{1,32}|oauth)$" about:"where it goes: bearer (default), basic, header:NAME or query:NAME; sigv4:REGION/SERVICE: AWS's signature; oauth: a bearer token fetched with it; ssh or ssh:USER: a private key to log in with as git, or USER"`
	Token  string   `yaml:"token" match:"^https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?/[A-Za-z0-9._~/-]{0,200}$" about:"with slot oauth: where tokens are fetched"`
	Scopes []string `yaml:"scopes,some" match:"^[!#-\\[\\]-~]{1,200}$" about:"with slot oauth: what tokens are asked for; default: default, which is whatever the server gives"`
	Shaped []string `yaml:"placeholder,some" match:"^([a-z]+|[A-Z_][A-Z0-9_]{0,63}=[A-Za-z0-9._-]{0,32}[*#]{16,200}[A-Za-z0-9._-]{0,32})$" about:"what the agent has in its place: VARIABLE=TEXT with * for any letter or digit, # for an upper-case one, or anthropic, openai, github, slack, aws"`
	Reveal bool     `yaml:"reveal" about:"true: the agent gets the value itself, with a warning"`
	Reason string   `yaml:"reason" about:"why"`
	Origin nacre.Origin
}

// Model is a model provider with models and budgets.
type Model struct {
	Provider    string   `yaml:"provider,required" match:"^[A-Za-z0-9*][A-Za-z0-9._*/:@-]{0,127}$" about:"the provider's name"`
	Models      []string `yaml:"models,required,some" match:"^[A-Za-z0-9*][A-Za-z0-9._*/:@-]{0,127}$" about:"the models; * stands for anything"`
	Requests    int64    `yaml:"requests" match:"^[0-9]+$" about:"the most requests of one run"`
	Tokens      int64    `yaml:"tokens" match:"^[0-9]+$" about:"the most tokens of one run, in and out"`
	Cents       int64    `yaml:"cents" match:"^[0-9]+$" about:"the most money of one run, in hundredths of the provider's currency"`
	DayRequests int64    `yaml:"requests-per-day" match:"^[0-9]+$" about:"the most requests of all runs in a day"`
	DayTokens   int64    `yaml:"tokens-per-day" match:"^[0-9]+$" about:"the most tokens of all runs in a day"`
	DayCents    int64    `yaml:"cents-per-day" match:"^[0-9]+$" about:"the most money of all runs in a day"`
	Reason      string   `yaml:"reason" about:"why"`
	Origin      nacre.Origin
}

// Tool is a tool server with the tools that may be called.
type Tool struct {
	Server    string   `yaml:"server,required" match:"^[A-Za-z0-9*][A-Za-z0-9._*/:@-]{0,127}$" about:"the tool server's name"`
	URL       string   `yaml:"url" match:"^https?://[a-z0-9.:\\[\\]-]{1,255}(/[A-Za-z0-9._~/-]*)?$" about:"where its MCP is, such as https://mcp.example.com/mcp; http to this machine only"`
	Skill     string   `yaml:"skill" match:"^([a-z0-9]+(-[a-z0-9]+)*|[*])$" about:"in place of url: the skill whose server it is, by its name; it runs in a sandbox of its own"`
	Tools     []string `yaml:"tools,required,some" match:"^[A-Za-z0-9*][A-Za-z0-9._*/:@-]{0,127}$" about:"its tools; * stands for anything"`
	Arguments []string `yaml:"arguments,some" match:"^(only|[A-Za-z_][A-Za-z0-9_.-]{0,63}[?]?(=[^;\\x00-\\x1f]{0,300}|<=-?[0-9]{1,15}))$" about:"what every call must keep to: repo=acme/*, state=open|closed, limit<=50; body?=* may be missing; only: no other arguments"`
	Pins      []string `yaml:"pins,some" match:"^[A-Za-z0-9][A-Za-z0-9._/:-]{0,127}@sha256:[0-9a-f]{64}$" about:"the definition that a tool must have: NAME@sha256:…, as the audit names it"`
	Reason    string   `yaml:"reason" about:"why"`
	Origin    nacre.Origin
}

// Message is somebody to talk with.
type Message struct {
	With   string   `yaml:"with,required" match:"^[A-Za-z0-9*][A-Za-z0-9._*/:@-]{0,127}$" about:"the other side: a channel or an agent, by the host's name for it"`
	Access []string `yaml:"access,required,some" oneof:"send receive" about:"send, receive or both"`
	Reason string   `yaml:"reason" about:"why"`
	Origin nacre.Origin
}

// Job is a time at which the agent is woken.
type Job struct {
	Name   string   `yaml:"name,required" match:"^[A-Za-z0-9*][A-Za-z0-9._*/:@-]{0,127}$" about:"the job's name"`
	When   []string `yaml:"when,required,some" match:"^(\\*|[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4})$" about:"five cron fields, such as 0 7 * * 1-5; * in a policy allows any"`
	Reason string   `yaml:"reason" about:"why"`
	Origin nacre.Origin
}

// Parse reads a manifest. The file's name is only for messages and origins.
func Parse(file string, data []byte) (*Manifest, error) {
	return strict.Decode(file, data, &Manifest{Loopback: true})
}
