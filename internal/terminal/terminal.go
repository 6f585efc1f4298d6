// Package terminal has what tools need to print for people.
package terminal

import (
	"fmt"
	"strconv"
	"strings"
)

// Printable escapes what a terminal may take for a command, or a reader for another line.
func Printable(text string) string {
	var b strings.Builder
	for _, c := range text {
		if strconv.IsPrint(c) {
			b.WriteRune(c)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(c), "'"))
		}
	}
	return b.String()
}

// Counted is a number with the word for what it counts.
func Counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// longestWord is how long a word may be that is repeated without being looked at, in bytes. Random tokens are longer.
const longestWord = 20

// MayHoldToken reports whether an error of flags may repeat a token. One that begins with a hyphen is taken for a flag.
func MayHoldToken(err error) bool {
	for word := range strings.FieldsSeq(err.Error()) {
		if len(word) > longestWord {
			return true
		}
	}
	return false
}

// Some is the beginning of a list, and how many more there are.
func Some(list []string) string {
	const most = 5
	text := strings.Join(list[:min(len(list), most)], " ")
	if left := len(list) - most; left > 0 {
		text += fmt.Sprintf(" and %d more", left)
	}
	return text
}
