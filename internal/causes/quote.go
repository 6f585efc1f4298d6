// Package causes has what the causes of refusals are written with. A cause names what came and what was expected, and
// what came is a stranger's text. So each text is cut, quoted and in ASCII: it cannot fill a log, begin a line of its
// own, or look like another text.
package causes

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxText = 100   // bytes of one quoted text, with its escapes
	maxList = 3     // texts of one list
	maxLine = 1_000 // bytes of a whole cause
	maxName = 20    // names in a log field
)

// Quote returns a text between quotes, in ASCII, with at most 100 bytes between them. Dots behind the quotes say that
// the text was longer. A text that may hold a token is not repeated at all.
func Quote(text string) string {
	if mayHoldToken(text) {
		return withheld(text)
	}
	quoted, whole := escape(make([]byte, 1, min(len(text), maxText)+len(`""...`)), text)
	quoted[0] = '"'
	if !whole {
		return string(append(quoted, `"...`...))
	}
	return string(append(quoted, '"'))
}

// Plain is Quote without the quotes, for a log field that has nothing but the text.
func Plain(text string) string {
	if mayHoldToken(text) {
		return withheld(text)
	}
	escaped, whole := escape(nil, text)
	if !whole {
		escaped = append(escaped, "..."...)
	}
	return string(escaped)
}

// escape appends a text in ASCII, up to 100 bytes. It reports whether that is the whole text.
func escape(to []byte, text string) (escaped []byte, whole bool) {
	var one [16]byte // the longest escape of one character has ten bytes
	for from := len(to); text != ""; {
		_, n := utf8.DecodeRuneInString(text)
		next := strconv.AppendQuoteToASCII(one[:0], text[:n])
		next = next[1 : len(next)-1]
		if len(to)-from+len(next) > maxText {
			return to, false
		}
		to, text = append(to, next...), text[n:]
	}
	return to, true
}

func withheld(text string) string {
	return fmt.Sprintf("a text of %d bytes that may hold a token", len(text))
}

// mayHoldToken reports whether a text may contain a JWT: the base64 of {" or of a brace and a space.
func mayHoldToken(text string) bool {
	return strings.Contains(text, "eyJ") || strings.Contains(text, "eyA")
}

// List returns the first three texts, each as Quote does, and how many there are beyond.
func List(texts []string) string {
	quoted := make([]string, 0, maxList)
	for _, text := range texts[:min(len(texts), maxList)] {
		quoted = append(quoted, Quote(text))
	}
	line := strings.Join(quoted, ", ")
	if more := len(texts) - maxList; more > 0 {
		line += fmt.Sprintf(" and %d more", more)
	}
	return line
}

// Names returns the first twenty texts, each as Plain does, and how many there are beyond. It is for a log field with
// names that a server chose, such as key ids.
func Names(texts []string) string {
	names := make([]string, 0, maxName+1)
	for _, text := range texts[:min(len(texts), maxName)] {
		names = append(names, Plain(text))
	}
	if more := len(texts) - maxName; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, " ")
}

// Line returns the text of an error as one line of at most 1,000 bytes, for a log. It is empty for nil.
func Line(err error) string {
	if err == nil {
		return ""
	}
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r // bytes that are not UTF-8 become U+FFFD
	}, err.Error())
	if len(text) <= maxLine {
		return text
	}
	cut := maxLine
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}

// Span returns a time in whole seconds or, from two days on, in whole days. The sign does not count.
func Span(d time.Duration) string {
	d = max(d, -d) // the smallest Duration stays negative, and is told in days all the same
	if days := int64(d / (24 * time.Hour)); days >= 2 || d < 0 {
		return fmt.Sprintf("%d days", max(days, -days))
	}
	return d.Round(time.Second).String()
}
