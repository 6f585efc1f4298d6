package explain

import (
	"fmt"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/rights"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// writePermissions writes what the caller may do by the rules for MCP.
func writePermissions(b *strings.Builder, p *rights.Permissions) {
	label := "The rules for MCP:"
	write := func(text string) {
		fmt.Fprintf(b, "  %-18s %s\n", label, terminal.Printable(text))
		label = ""
	}
	one := func(kind string, listed []rights.Permission) {
		for _, permission := range listed {
			text := fmt.Sprintf("%s %s: allowed", kind, permission.Name)
			if !permission.Allowed {
				text = fmt.Sprintf("%s %s: lacks %s", kind, permission.Name, strings.Join(permission.Missing, " "))
			}
			write(text)
		}
	}
	one("tool", p.Tools)
	one("method", p.Methods)
	write("other tools: " + map[string]string{"allow": "allowed", "deny": "denied"}[p.Default])
}
