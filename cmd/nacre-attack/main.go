// Command nacre-attack runs inside a sandbox and behaves like a hijacked
// agent: it tries one door after another and prints a line of JSON for each.
// It exploits nothing. Dangerous interfaces are opened or asked with arguments
// that cannot succeed, bombs are capped, and what it made it removes.
//
//	nacre-attack --list-json              print the probes
//	nacre-attack --config JSON|@FILE      run the probes that the config names
//
// The judge is package attack: it plants the canaries, runs this program and
// believes nothing that it can see for itself.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"nacre/attack/wire"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		fmt.Fprintln(os.Stderr, "hint: nacre-attack --list-json, or --config JSON|@FILE as the judge does")
		os.Exit(2)
	}
}

func run(args []string) error {
	options := map[string]string{}
	for i := 0; i < len(args); i++ {
		switch a := args[i]; a {
		case "--list-json", "--sibling":
			options[a] = "yes"
		case "--config", "--probe", "--result-fd", "--linger", "--victim":
			if i++; i == len(args) {
				return fmt.Errorf("%s needs a value", a)
			}
			options[a] = args[i]
		default:
			return fmt.Errorf("unknown argument %q", a)
		}
	}
	switch {
	case options["--list-json"] != "":
		return list(os.Stdout)
	case options["--victim"] != "":
		return victim()
	case options["--sibling"] != "":
		return sibling()
	case options["--linger"] != "":
		return linger(options["--linger"])
	case options["--config"] == "":
		return errors.New("nothing to do")
	}
	config, err := readConfig(options["--config"])
	if err != nil {
		return err
	}
	if id := options["--probe"]; id != "" {
		return runProbe(config, id, options["--result-fd"])
	}
	return supervise(config, options["--config"])
}

func list(w io.Writer) error {
	var specs []wire.Spec
	for _, p := range probes() {
		specs = append(specs, p.spec())
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(specs)
}

func readConfig(text string) (wire.Config, error) {
	var config wire.Config
	data := []byte(text)
	if name, ok := strings.CutPrefix(text, "@"); ok {
		var err error
		if data, err = os.ReadFile(name); err != nil {
			return config, err
		}
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return config, fmt.Errorf("config: %w", err)
	}
	return config, nil
}
