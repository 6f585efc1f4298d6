package running

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/caddyjwt/gateway/internal/terminal"
)

// printTable prints a table with a number of lines, and how many of what there are.
func printTable(to io.Writer, head string, lines, total int, what string, line func(i int) string) error {
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	if lines > 0 {
		fmt.Fprintln(table, head)
	}
	for i := range lines {
		fmt.Fprintln(table, line(i))
	}
	_ = table.Flush() // a Builder takes everything
	out.WriteString(terminal.Counted(total, what))
	if total > lines {
		fmt.Fprintf(&out, ", of which %d are listed", lines)
	}
	out.WriteByte('\n')
	_, err := io.WriteString(to, out.String())
	return err
}

// row is a line of a table. Its texts are made harmless.
func row(texts ...string) string {
	for i, text := range texts {
		if text == "" {
			texts[i] = "-"
			continue
		}
		texts[i] = terminal.Printable(text)
	}
	return strings.Join(texts, "\t")
}
