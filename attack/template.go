package attack

import (
	"path/filepath"
	"strings"

	"nacre/fault"
)

// Template turns a command line such as "bwrap --bind {dir} {dir} {}" into a
// Command. {} stands for the probe's command as words of their own, {dir} for
// the granted folder. Quotes and backslashes group words as in a shell, but no
// shell runs.
func Template(text string) (Command, error) {
	words, err := split(text)
	if err != nil {
		return nil, err
	}
	places := 0
	for _, word := range words {
		if word == "{}" {
			places++
		} else if strings.Contains(word, "{}") {
			return nil, fault.New(fault.Usage, "{} stands inside the word %q", word).WithHint("{} is replaced by several words: leave it alone, outside quotes")
		}
	}
	if places != 1 || words[0] == "{}" && len(words) > 1 {
		return nil, fault.New(fault.Usage, "the template needs {} once, after the sandbox's command").WithHint("such as: bwrap --bind {dir} {dir} {}")
	}
	// The sandbox is started in a folder of the judge's: a relative program
	// means the one that is meant here.
	if first := words[0]; strings.Contains(first, "/") && !filepath.IsAbs(first) {
		if words[0], err = filepath.Abs(first); err != nil {
			return nil, fault.Wrap(fault.Usage, err, "the template's program %s", first)
		}
	}
	return func(probe []string, folder string) []string {
		var argv []string
		for _, word := range words {
			if word == "{}" {
				argv = append(argv, probe...)
			} else {
				argv = append(argv, strings.ReplaceAll(word, "{dir}", folder))
			}
		}
		return argv
	}, nil
}

// split divides a line into words.
func split(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	open, quote := false, rune(0)
	escape := false
	for _, c := range text {
		switch {
		case escape:
			word.WriteRune(c)
			escape = false
		case c == '\\' && quote != '\'':
			open, escape = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			open, quote = true, c
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if open {
				words = append(words, word.String())
				word.Reset()
			}
			open = false
		default:
			open = true
			word.WriteRune(c)
		}
	}
	if quote != 0 || escape {
		return nil, fault.New(fault.Usage, "the template ends inside a quotation").WithHint("close the quote")
	}
	if open {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, fault.New(fault.Usage, "the template is empty").WithHint("such as: bwrap --bind {dir} {dir} {}")
	}
	return words, nil
}
