package caddyjwt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/claims"
)

// forwarding is a word that gives the backend values of a token, each in a header.
type forwarding struct {
	word string
	// value is what errors call such a value.
	value string
	// field is that of the handler.
	field string
	// placeholders are what the names of its placeholders begin with.
	placeholders []string
	mistakes     []words.Mistake
	// count is how many there are in the handler, and add adds one.
	count func(*Handler) int
	add   func(h *Handler, header, path, as string)
}

var forwardsClaims = forwarding{
	word: "forward_claims", value: "claim", field: "ForwardClaims", placeholders: []string{"{http.auth.user."},
	mistakes: forwardMistakes("a claim path names one claim"),
	count:    func(h *Handler) int { return len(h.ForwardClaims) },
	add: func(h *Handler, header, path, as string) {
		h.ForwardClaims = append(h.ForwardClaims, ForwardClaim{Claim: path, Header: header, As: as})
	},
}

var forwardsHeader = forwarding{
	word: "forward_header", value: "member", field: "ForwardHeader",
	placeholders: []string{"{http.auth.bearer.header.", "{http.auth.bearer."},
	mistakes:     forwardMistakes("a path names one member of the header"),
	count:        func(h *Handler) int { return len(h.ForwardHeader) },
	add: func(h *Handler, header, path, as string) {
		h.ForwardHeader = append(h.ForwardHeader, ForwardMember{Member: path, Header: header, As: as})
	},
}

func forwardMistakes(names string) []words.Mistake {
	return append(slices.Clone(require.PathMistakes),
		words.WildcardInName(names, "write its name; an array or an object is forwarded as a whole"))
}

// forwardUsage is the usage of forward_claims and forward_header.
var forwardUsage = []string{"<Header> <path> [<encoding>]", "{ <Header> <path> [<encoding>] ... }"}

// read reads a header and its value on one line, or a block with such lines, in the order of Caddy's directive
// "header".
func (f *forwarding) read(b *words.Block, h *Handler) error {
	args, before := b.Args(), f.count(h)
	if len(args) > 0 {
		if err := f.readOne(b, h, args); err != nil {
			return err
		}
	}
	err := b.EachLine(func(line []string) error {
		if len(args) > 0 {
			return b.Errf("%s: its headers stand on its line or in its block, not in both", f.word)
		}
		return f.readOne(b, h, line)
	})
	if err == nil && f.count(h) == before {
		return b.WrongUsage("")
	}
	return err
}

// readOne reads one header, its value and perhaps how the value is written.
func (f *forwarding) readOne(b *words.Block, h *Handler, args []string) error {
	if args[len(args)-1] == "}" {
		return b.Errf("%s: in a block, each header and the closing } have a line of their own", f.word)
	}
	if len(args) != 2 && len(args) != 3 {
		return b.WrongUsage("")
	}
	header, path := args[0], args[1]
	as := strings.Join(args[2:], "")
	if len(args) == 3 && !slices.Contains(claims.Encodings(), as) {
		return b.WrongUsage("an encoding is " + words.Alternatives(claims.Encodings()))
	}
	if err := f.reversed(b, header, path); err != nil {
		return err
	}
	if strings.HasSuffix(header, ":") {
		return b.Errf("%s %s %s: leave out the colon after the header's name", f.word, header, path)
	}
	if name := f.bare(path); name != path {
		return b.Errf("%s %q: %s", f.word, path, require.NotAPlaceholder(name))
	}
	if err := b.Check(f.word, f.mistakes, path); err != nil {
		return err
	}
	b.Mark(fmt.Sprintf("%s[%d]", f.field, f.count(h)))
	f.add(h, header, path, as)
	return nil
}

// bare is the path in a placeholder, or else the text as it is.
func (f *forwarding) bare(text string) string {
	for _, prefix := range f.placeholders {
		if name, found := strings.CutPrefix(text, prefix); found {
			return strings.TrimSuffix(name, "}")
		}
	}
	return text
}

func readForwardPayload(b *words.Block, h *Handler) error {
	args := b.Args()
	switch {
	case len(args) == 1:
	case len(args) == 2 && args[1] == "padded":
		h.PadPayload = true
	default:
		return b.WrongUsage("")
	}
	h.ForwardPayload = args[0]
	return nil
}
