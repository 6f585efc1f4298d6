package diagnose

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// longest bounds a text of a report, in bytes. The longest that the gate's own errors have is shorter.
const longest = 1000

// printable makes a text safe for a terminal and for a line of a log: ASCII without control characters. It writes all
// else as an escape sequence of Go, and cuts texts that are too long.
func printable(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if b.Len() > longest {
			b.WriteString("...")
			break
		}
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r >= 0x20 && r < 0x7f:
			b.WriteByte(byte(r))
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

// short is printable for a name that a server chose, such as a key id.
func short(text string) string {
	const most = 80
	text = printable(text)
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}

// withoutQuery is an address as it is printed. Its query may contain a key.
func withoutQuery(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return printable(address)
}
