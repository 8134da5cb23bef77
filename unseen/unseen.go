// Package unseen finds the characters of a text that nobody sees, or that change how
// others show: by them a model can be told what its owner does not read. What joins
// letters and emoji where that makes sense does not count.
package unseen

import (
	"iter"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Character is one that nobody sees.
type Character struct {
	Rune rune
	What string // it does, as the end of a sentence
}

// concealed are characters that do not show, or that change how others show.
var concealed = []struct {
	from, to rune
	what     string
}{
	{0x202a, 0x202e, "turns the direction of text"}, {0x2066, 0x2069, "turns the direction of text"}, {0x200e, 0x200f, "turns the direction of text"},
	{0x061c, 0x061c, "turns the direction of text"}, {0xe0000, 0xe007f, "is of the tags block, which no screen shows"},
	{0x200b, 0x200d, "has no width"}, {0x2060, 0x2064, "has no width"}, {0xfeff, 0xfeff, "has no width"},
	{0x00ad, 0x00ad, "mostly does not show"}, {0xfe00, 0xfe0f, "is a variation selector"}, {0xe0100, 0xe01ef, "is a variation selector"},
	{0x115f, 0x1160, "is a filler that does not show"}, {0x3164, 0x3164, "is a filler that does not show"}, {0xffa0, 0xffa0, "is a filler that does not show"},
	{0x034f, 0x034f, "does not show"}, {0x17b4, 0x17b5, "does not show"}, {0x180b, 0x180f, "does not show"}, {0x2800, 0x2800, "is a blank"},
	{0x206a, 0x206f, "does not show"}, {0xfff9, 0xfffb, "does not show"}, {0x2028, 0x2029, "ends a line where editors see none"},
	{0xe000, 0xf8ff, "has no agreed meaning"}, {0xf0000, 0x10ffff, "has no agreed meaning"},
	{0x00, 0x08, "is a control character"}, {0x0b, 0x0c, "is a control character"}, {0x0e, 0x1f, "is a control character"}, {0x7f, 0x9f, "is a control character"},
}

// Is tells whether a character does not show, wherever it is.
func Is(r rune) bool { return what(r) != "" }

func what(r rune) string {
	for _, c := range concealed {
		if r >= c.from && r <= c.to {
			return c.what
		}
	}
	return ""
}

// Shown tells whether a character shows on a terminal, as itself alone: no control, no
// line break, nothing without width, nothing that turns the direction of text.
func Shown(r rune) bool {
	return strconv.IsPrint(r) && r != '\u2800' &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Bidi_Control)
}

// In are those of a text, by where they are.
func In(text string) iter.Seq2[int, Character] {
	return func(yield func(int, Character) bool) {
		before := rune(0)
		for i := 0; i < len(text); {
			r, size := utf8.DecodeRuneInString(text[i:])
			next, _ := utf8.DecodeRuneInString(text[i+size:])
			if does := what(r); does != "" && !belongs(r, before, next) && !yield(i, Character{r, does}) {
				return
			}
			before = r
			i += size
		}
	}
}

// belongs tells whether a character that does not show makes sense where it
// is: one selector or joiner of an emoji, a joiner between letters that need it.
func belongs(r, before, next rune) bool {
	emoji := func(r rune) bool { return r >= 0x2190 && unicode.In(r, unicode.So, unicode.Sm, unicode.Sk) }
	switch r {
	case 0xfe0e, 0xfe0f:
		return emoji(before) || next == 0x20e3
	case 0x200d:
		return (emoji(before) || before == 0xfe0f) && emoji(next) || joined(before) && joined(next)
	case 0x200c:
		return joined(before) && joined(next)
	}
	return false
}

// joined tells whether a letter is of a script whose letters join.
func joined(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Devanagari, unicode.Bengali, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam,
		unicode.Gujarati, unicode.Gurmukhi, unicode.Oriya, unicode.Sinhala, unicode.Syriac, unicode.Mongolian, unicode.Khmer)
}
