package channel

import (
	"nacre"
	"nacre/strict"
)

// File is what makes a skill a channel.
const File = "channel.yaml"

// Program is what channel.yaml says: how the adapter is started. What it may reach, its
// skill's capabilities.yaml asks for.
type Program struct {
	Version  int      `yaml:"version,required" match:"^1$" about:"the version of this grammar: 1"`
	Protocol int      `yaml:"protocol,required" match:"^1$" about:"the version of the channel protocol that it speaks: 1"`
	Command  []string `yaml:"command,required,some" about:"the program and its arguments; ./NAME is a file of the skill"`
	Origin   nacre.Origin
}

// Parse reads channel.yaml.
func Parse(text []byte) (*Program, error) {
	return strict.Decode(File, text, &Program{})
}
