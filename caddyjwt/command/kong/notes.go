package kong

import (
	"fmt"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/caddytext"
)

// notes are what could not be converted, in the order in which it was found, each once.
type notes struct {
	all   []string
	known map[string]bool
}

// add notes what could not be converted. The text stands on one line.
func (n *notes) add(format string, args ...any) string {
	text := caddytext.Plain(fmt.Sprintf(format, args...))
	if !n.known[text] {
		n.known[text] = true
		n.all = append(n.all, text)
	}
	return text
}
