package words

import "strings"

// repeatable is how the syntax card marks a word that may be given more than once.
const repeatable = "# repeatable"

// Card is the syntax card of the directive: every word of every block, as in a Caddyfile. before is what stands between
// the directive and its block, such as "[<matcher>]".
func (d *Directive[T]) Card(before string) string {
	var card strings.Builder
	card.WriteString(strings.TrimSpace(d.Name+" "+before) + " {\n")
	writeCard(&card, d.entries(), 1)
	card.WriteString("}\n")
	return card.String()
}

func writeCard(card *strings.Builder, entries []Entry, depth int) {
	indent := strings.Repeat("    ", depth)
	width, remark := 0, 0
	for _, e := range entries {
		if e.inside == nil || len(e.Usage) > 1 {
			width = max(width, len(e.Name)+2)
		}
	}
	for _, e := range entries {
		for _, line := range cardLines(&e, width) {
			if e.Repeatable {
				remark = max(remark, len(line)+3)
			}
		}
	}
	gap := false
	for i, e := range entries {
		apart := depth == 1 && e.inside != nil && e.Repeatable // empty lines before and after it
		if i > 0 && (apart || gap) {
			card.WriteString("\n")
		}
		gap = apart
		for _, line := range cardLines(&e, width) {
			if e.Repeatable {
				line += strings.Repeat(" ", remark-len(line)) + repeatable
			}
			card.WriteString(indent + line + "\n")
		}
		if e.inside != nil {
			writeCard(card, e.inside.entries(), depth+1)
			card.WriteString(indent + "}\n")
		}
	}
}

// cardLines are the forms of a word, one a line, with their usages in a column. If a block may follow one of several
// forms, it stands behind all of them: the manual says which.
func cardLines(e *Entry, width int) []string {
	if e.inside != nil && len(e.Usage) < 2 {
		return []string{e.Forms()[0] + " {"}
	}
	if len(e.Usage) == 0 {
		return []string{e.Name}
	}
	var lines []string
	for _, usage := range e.Usage {
		lines = append(lines, e.Name+strings.Repeat(" ", width-len(e.Name))+usage)
	}
	if e.inside != nil {
		lines = append(lines, e.Name+" ... {")
	}
	return lines
}
