package caddyjwt

import (
	"fmt"
	"net/textproto"
	"slices"
	"strings"
)

// mistakenRequirement looks for mistakes in what follows require scope, claim or group.
func (b *block) mistakenRequirement(kind string, values []string) error {
	if kind != "claim" {
		return b.mistaken("require "+kind, values...)
	}
	if err := b.mistaken("require claim", values[0]); err != nil {
		return err
	}
	return b.mistaken("require claim value", values[1:]...)
}

// unknownRequirement says what else may be required.
func (b *block) unknownRequirement(kind string) error {
	hint := ""
	if meant := mostAlike(kind, []string{"scope", "claim", "group"}); meant != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", meant)
	} else if kind == "role" || kind == "roles" {
		hint = " (roles are in a claim: require claim <path> <role...>)"
	}
	return b.d.Errf("require %q: expected scope, claim or group%s", kind, hint)
}

// mistakenPlace looks for mistakes in what follows token_from.
func (b *block) mistakenPlace(args []string) error {
	const usual = "token_from header Authorization Bearer"
	switch {
	case len(args) == 0:
		return nil
	case strings.EqualFold(args[0], "Bearer"),
		args[0] == "header" && len(args) == 2 && strings.EqualFold(args[1], "Bearer"):
		return b.d.Errf("Bearer is a scheme, and no name of a header: %s", usual)
	case strings.EqualFold(args[0], "Authorization"):
		return b.d.Errf("token_from is followed by the kind of place: %s", usual)
	case len(args) > 1 && strings.Contains(args[1], "*"):
		return b.d.Errf("token_from %s %s: a place has one name, and \"*\" stands for itself: write a line for each place",
			args[0], args[1])
	case args[0] == "header" && len(args) > 1 && strings.HasSuffix(args[1], ":"):
		return b.d.Errf("token_from header %s: the name of a header is written without the colon", args[1])
	case args[0] == "header" && len(args) > 1 && len(strings.Fields(args[1])) > 1:
		return b.d.Errf("token_from header %q: name and scheme are two words: leave the quotes out", args[1])
	}
	return b.unknownPlace(args[0])
}

// unknownPlace says which kind of place may have been meant, if the kind is not one.
func (b *block) unknownPlace(kind string) error {
	known := []string{"header", "query", "cookie", "form"}
	if slices.Contains(known, kind) {
		return nil
	}
	meant := mostAlike(kind, known)
	switch kind {
	case "body":
		meant = "form"
	case "param", "parameter", "url":
		meant = "query"
	}
	if meant == "" {
		return nil
	}
	return b.d.Errf("token_from %q: expected header, query, cookie or form (did you mean %q?)", kind, meant)
}

// reversed knows the order of header_up, name before value.
func (b *block) reversed(first, second string) error {
	if claim, found := strings.CutPrefix(second, "{http.auth.user."); found {
		second = strings.TrimSuffix(claim, "}")
	}
	first = strings.TrimSuffix(first, ":")
	if !looksLikeHeader(first) || !looksLikeClaim(second) {
		return nil
	}
	return b.d.Errf("forward_claim %s %s: the claim comes first, then the header: did you mean \"forward_claim %s %s\"? "+
		"(a header that is really called %q is written %q)", first, second, second, first, second,
		textproto.CanonicalMIMEHeaderKey(second))
}

// looksLikeHeader reports whether a text is a header name as people write them, and hardly a claim.
func looksLikeHeader(text string) bool {
	for _, c := range text {
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return text != "" && ('A' <= text[0] && text[0] <= 'Z' || strings.HasPrefix(text, "x-"))
}

// looksLikeClaim reports whether a text is a claim as people write them, and hardly a header.
func looksLikeClaim(text string) bool {
	return text != "" && !strings.Contains(text, "-") && text == strings.ToLower(text)
}
