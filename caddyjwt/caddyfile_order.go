package caddyjwt

import (
	"net/textproto"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// mistakenPlace looks for mistakes in the values of token_from.
func mistakenPlace(b *words.Block, args []string) error {
	const usual = "token_from header Authorization Bearer"
	switch {
	case len(args) == 0:
		return nil
	case strings.EqualFold(args[0], "Bearer"),
		args[0] == "header" && len(args) == 2 && strings.EqualFold(args[1], "Bearer"):
		return b.Errf("Bearer is a scheme, not the name of a header: write %s", usual)
	case strings.EqualFold(args[0], "Authorization"):
		return b.Errf("token_from takes the kind of place first: write %s", usual)
	case len(args) > 1 && strings.Contains(args[1], "*"):
		return b.Errf("token_from %s %s: a place has one name, so \"*\" is not a wildcard: write a line for each place",
			args[0], args[1])
	case args[0] == "header" && len(args) > 1 && strings.HasSuffix(args[1], ":"):
		return b.Errf("token_from header %s: leave out the colon after the header's name", args[1])
	case args[0] == "header" && len(args) > 1 && len(strings.Fields(args[1])) > 1:
		return b.Errf("token_from header %q: name and scheme are two values: leave the quotes out", args[1])
	}
	return unknownPlace(b, args[0])
}

// unknownPlace suggests a kind of place for an unknown one.
func unknownPlace(b *words.Block, kind string) error {
	if placeOf(kind) != nil {
		return nil
	}
	meant := words.MostAlike(kind, placeNames())
	switch kind {
	case "body":
		meant = "form"
	case "param", "parameter", "url":
		meant = "query"
	}
	if meant == "" {
		return nil
	}
	return b.Errf("token_from %q: there is no such place (did you mean %q?)", kind, meant)
}

// reversed recognizes a value that stands before its header.
func (f *forwarding) reversed(b *words.Block, first, second string) error {
	path, header := f.bare(first), strings.TrimSuffix(second, ":")
	if !looksLikeHeader(header) || !looksLikePath(path) {
		return nil
	}
	return b.Errf("%s %s %s: the header comes first, then the %s: did you mean \"%s %s\"? (for a header named %q, "+
		"write %q)", f.word, first, second, f.value, header, path, path, textproto.CanonicalMIMEHeaderKey(path))
}

// looksLikeHeader reports whether a text is likely a header name and hardly a path.
func looksLikeHeader(text string) bool {
	for _, c := range text {
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return text != "" && ('A' <= text[0] && text[0] <= 'Z' || strings.HasPrefix(text, "x-"))
}

// looksLikePath reports whether a text is likely a path and hardly a header name.
func looksLikePath(text string) bool {
	return text != "" && !strings.Contains(text, "-") && text == strings.ToLower(text)
}
