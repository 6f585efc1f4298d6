package diagnose

import (
	"fmt"
	"io"
)

// Progress writes on a terminal how far a Run is: one line, which it overwrites. Nil writes nothing.
type Progress struct {
	To    io.Writer
	Total int // issuers
}

// Show is for Run.
func (p *Progress) Show(n int) {
	if p != nil {
		fmt.Fprintf(p.To, "\rchecked %d of %d issuers", n, p.Total)
	}
}

// End removes the line.
func (p *Progress) End() {
	if p != nil {
		fmt.Fprint(p.To, "\r\x1b[K")
	}
}
