package terminal

import (
	"strings"
	"unicode"
)

// controls are the final bytes of the plain control sequences that pass:
// cursor movement, erasing, inserting, scrolling, colours, margins. Not among
// them are those that a terminal answers (c n x), prints (i) or that outlive
// the program (g); h, l and t are judged by their parameters.
const controls = "@ABCDEFGHIJKLMPSTXZ^`abdefmrsu"

// ansiModes are the modes without a marker that pass: insert, and the cursor's
// look in a multiplexer. Others lock the keyboard or change what Enter sends.
const ansiModes = " 4 34 "

// decModes are the modes with the marker ? that pass, each with the final byte
// that brings its default back, or 0 where there is none. The keyboard
// protocols (modifyOtherKeys, kitty's, win32's) are not here nor above: with
// them Ctrl-] would no longer arrive as itself, and a program could switch the
// owner's kill key off. Neither is 2 (VT52), which changes how a terminal
// parses all that follows, nor 46 (logging), nor reports of size or theme.
var decModes = map[string]byte{
	"1": 'l', "5": 'l', "6": 'l', "7": 'h', "12": 0, "25": 'h', "45": 'l', "66": 'l', "69": 'l',
	"47": 'l', "1047": 'l', "1048": 0, "1049": 'l', // alternate screen
	"9": 'l', "1000": 'l', "1002": 'l', "1003": 'l', "1004": 'l', // mouse, focus
	"1005": 'l', "1006": 'l', "1007": 0, "1015": 'l', "1016": 'l',
	"1034": 0, "2004": 'l', "2026": 'l', "2027": 0, // meta, paste, synchronised update, graphemes
}

// endEscape passes an escape sequence that moves the cursor, sets the keypad,
// selects UTF-8 or a character set, or resets the terminal.
func (f *Filter) endEscape(seq string) {
	switch body := seq[1:]; {
	case body == "c":
		clear(f.undo)
	case body == "=":
		f.undo["="] = "\x1b>"
	case body == ">":
		delete(f.undo, "=")
	case len(body) == 2 && strings.Contains("()*+", body[:1]) && strings.Contains("012ABKU", body[1:]):
		f.leave(body[:1], "\x1b"+body[:1]+"B", body[1] != 'B')
	case !strings.Contains(" 7 8 D E M %G ", " "+body+" "):
		return
	}
	f.out = append(f.out, seq...)
}

// endControl passes or drops a control sequence, or answers it.
func (f *Filter) endControl(seq string) {
	body, final := seq[2:len(seq)-1], seq[len(seq)-1:]
	params := strings.TrimLeft(body, "<=>?")
	marker := body[:len(body)-len(params)]
	digits := strings.TrimRight(params, " !\"#$%&'()*+,-./")
	if !parameters(digits) {
		return
	}
	switch key := marker + params[len(digits):] + final; key {
	case "c":
		f.reply(digits == "" || digits == "0", "\x1b[?6c")
		return
	case "n":
		f.reply(digits == "5", "\x1b[0n")
		return
	case "?h", "?l":
		if !f.decMode(digits, final) {
			return
		}
	case "h", "l":
		if digits == "" || !strings.Contains(ansiModes, " "+digits+" ") {
			return
		}
		f.leave("mode "+digits, "\x1b[4l", digits == "4" && final == "h")
	case "t": // only the title stack
		if op, _, _ := strings.Cut(digits, ";"); op != "22" && op != "23" {
			return
		}
	case " q":
		f.leave(key, "\x1b[0 q", strings.Trim(digits, "0") != "")
	case "m":
		f.leave(key, "\x1b[0m", strings.Trim(digits, "0") != "")
	case "r":
		f.leave(key, "\x1b7\x1b[r\x1b8", digits != "")
	case "!p", "?J", "?K":
	default:
		if len(key) != 1 || !strings.Contains(controls, key) {
			return
		}
	}
	f.out = append(f.out, seq...)
}

// parameters tells whether s is numbers of at most five digits, so that no
// terminal overflows on them.
func parameters(s string) bool {
	run := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == ';' || c == ':':
			run = 0
		case c < '0' || c > '9' || run == 5:
			return false
		default:
			run++
		}
	}
	return true
}

// decMode notes the change of private modes, if every one of them may pass.
func (f *Filter) decMode(digits, final string) bool {
	modes := strings.Split(digits, ";")
	for _, m := range modes {
		if _, ok := decModes[m]; !ok {
			return false
		}
	}
	for _, m := range modes {
		usual := decModes[m]
		f.leave("?"+m, "\x1b[?"+m+string(usual), usual != 0 && final[0] != usual)
	}
	return true
}

// leave notes what undoes a change, or that there is no longer anything to undo.
func (f *Filter) leave(key, undo string, changed bool) {
	if changed {
		f.undo[key] = undo
	} else {
		delete(f.undo, key)
	}
}

func (f *Filter) reply(ask bool, fixed string) {
	if ask && f.Answer != nil {
		f.Answer([]byte(fixed))
	}
}

// endString passes a title, or a link to the web, and drops every other string.
func (f *Filter) endString(terminator string) {
	f.state = ground
	if f.kind != ']' || len(f.seq) > maxOSC {
		return
	}
	number, text, ok := strings.Cut(string(f.seq), ";")
	switch {
	case !ok:
		return
	case number == "8" && link(text):
		f.leave("8", "\x1b]8;;\x1b\\", !strings.HasSuffix(text, ";"))
	case (number == "0" || number == "1" || number == "2") && text != "?":
		text = title(text)
	default:
		return
	}
	f.out = append(f.out, "\x1b]"+number+";"+text+terminator...)
}

// title is a window title without controls, of at most 256 characters.
func title(s string) string {
	n := 0
	return strings.Map(func(r rune) rune {
		if n++; n > 256 || unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return -1
		}
		return r
	}, s)
}

// link tells whether a hyperlink closes one or leads to the web. Other schemes
// would let a click open a file or start a program on the owner's side.
func link(s string) bool {
	_, uri, ok := strings.Cut(s, ";")
	if !ok || len(s) > 2083 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= del }) {
		return false
	}
	return uri == "" || strings.HasPrefix(uri, "https://") || strings.HasPrefix(uri, "http://")
}
