package require

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// Usage of the kinds that the handler and the matcher have in common.
var (
	ClaimUsage = []string{"<path> [<value...>]", "<path> like <pattern...>", "<path> at_least <number>",
		"<path> at_most <number>"}
	HeaderUsage = ClaimUsage
	NotUsage    = []string{"scope <scope...>", "claim <path> [<value...>]", "claim <path> like <pattern...>",
		"header <path> [<value...>]", "header <path> like <pattern...>", "group <group...>"}
	AnyUsage = []string{"{ <requirement> ... }"}
)

// Usage are the forms of the word require. The kinds of requirements are their first words.
var Usage = slices.Concat(
	[]string{"scope <scope...>", "any_scope <scope...>", "acr <value...>", "max_auth_age <duration>"},
	prefixed("claim", ClaimUsage), prefixed("header", HeaderUsage), []string{"group <group...>"},
	prefixed("not", NotUsage), prefixed("any", AnyUsage),
)

func prefixed(kind string, usages []string) (forms []string) {
	for _, usage := range usages {
		forms = append(forms, kind+" "+usage)
	}
	return forms
}

// kinds of requirements.
func kinds() (kinds []string) {
	for _, usage := range Usage {
		kind, _, _ := strings.Cut(usage, " ")
		kinds = append(kinds, kind)
	}
	return slices.Compact(kinds)
}

// Read reads one line of require, or a block of alternatives. path is that of the requirements in the struct that the
// block fills.
func Read(b *words.Block, path string, into *Requirements) error {
	const word = "require"
	args := b.Args()
	if len(args) == 0 {
		return b.WrongUsage("")
	}
	kind, values := args[0], args[1:]
	switch kind {
	case "any":
		if len(values) > 0 {
			return b.WrongForm(kind, "each alternative has a line of its own in the block; one scope of several is "+
				"require any_scope <scope...>")
		}
		block, err := ReadAny(b, word, fmt.Sprintf("%s.Any[%d]", path, len(into.Any)), "one scope of several is "+
			"require any_scope <scope...>")
		into.Any = append(into.Any, block)
		return err
	case "acr", "max_auth_age":
		if len(values) == 0 {
			return b.WrongForm(kind, "")
		}
		return readSignIn(b, path, kind, values, into)
	}
	if !slices.Contains(kinds(), kind) {
		return unknown(b, word, kind, kinds())
	}
	common := into.common()
	err := common.read(b, word, path, kind, values)
	into.Scopes, into.AnyScopes, into.Claims = common.Scopes, common.AnyScopes, common.Claims
	into.Header, into.Groups, into.Not = common.Header, common.Groups, common.Not
	return err
}

func readSignIn(b *words.Block, path, kind string, values []string, into *Requirements) error {
	if kind == "max_auth_age" {
		return readMaxAuthAge(b, path, into, values)
	}
	if err := Check(b, "require", kind, values); err != nil {
		return err
	}
	b.MarkElements(path+".ACR", len(into.ACR), len(into.ACR)+len(values))
	into.ACR = append(into.ACR, values...)
	return nil
}

// readMaxAuthAge reads a duration. A second line would be another bound, of which one had no effect.
func readMaxAuthAge(b *words.Block, path string, r *Requirements, values []string) error {
	const kind = "max_auth_age"
	age, err := caddy.ParseDuration(values[0])
	switch {
	case len(values) > 1:
		return b.WrongForm(kind, "")
	case r.MaxAuthAge != 0:
		return b.Errf("require %s: there is already one in this gate; remove one of the two", kind)
	case err != nil || age <= 0:
		return b.Errf("require %s %q: expected a positive duration such as 5m, 1h or 1d", kind, values[0])
	}
	b.Mark(path + ".MaxAuthAge")
	r.MaxAuthAge = caddy.Duration(age)
	return nil
}

// ReadAny reads the lines of a block, each of which is an alternative. word is what stands before a kind outside of the
// block, and path is that of the alternatives. hint is for a block without lines.
func ReadAny(b *words.Block, word, path, hint string) (block []Alternative, err error) {
	allowed := []string{"scope", "any_scope", "claim", "header", "group", "not"}
	err = b.EachLine(func(line []string) error {
		kind, values := line[0], line[1:]
		switch {
		case line[len(line)-1] == "}" || slices.Contains(values, ";"):
			return b.Errf("%s any: each alternative and the closing } have a line of their own, without a \";\"", word)
		case kind == "acr" || kind == "max_auth_age":
			return b.Errf("%s any: %s cannot be an alternative, because a challenge would demand it of everybody; if it is "+
				"enough to compare the claim: claim acr <value...>", word, kind)
		case kind == "any":
			return b.Errf("%s any: an alternative cannot have alternatives of its own: write its lines into this block", word)
		case !slices.Contains(allowed, kind):
			return unknown(b, word+" any:", kind, allowed)
		}
		var alternative Alternative
		at := fmt.Sprintf("%s[%d]", path, len(block))
		b.Mark(at)
		err := alternative.read(b, word, at, kind, values)
		block = append(block, alternative)
		return err
	})
	if err == nil && len(block) == 0 {
		err = b.Errf("%s any: its alternatives stand in a block, each on a line of its own: %s any { ... }; %s", word, word,
			hint)
	}
	return block, err
}

// ReadCommon reads a requirement of a kind that an alternative may have, too. For the matcher, path is empty: its lines
// fill its own fields.
func (a *Alternative) ReadCommon(b *words.Block, word, kind string, values []string) error {
	return a.read(b, word, "", kind, values)
}

func (a *Alternative) read(b *words.Block, word, path, kind string, values []string) error {
	if len(values) == 0 {
		return expected(b, word, kind, Usage)
	}
	if slices.ContainsFunc(values, func(value string) bool { return strings.TrimSpace(value) == "" }) {
		return b.Errf("%s %s: a value is empty; is an environment variable unset?", word, kind)
	}
	if kind == "not" {
		return a.readNot(b, word, path, values)
	}
	if err := Check(b, word, kind, values); err != nil {
		return err
	}
	at := func(field string) string { return strings.TrimPrefix(path+"."+field, ".") }
	switch kind {
	case "scope":
		b.MarkElements(at("Scopes"), len(a.Scopes), len(a.Scopes)+len(values))
		a.Scopes = append(a.Scopes, values...)
	case "any_scope":
		b.MarkElements(at("AnyScopes"), len(a.AnyScopes), len(a.AnyScopes)+1)
		a.AnyScopes = append(a.AnyScopes, values)
	case "claim":
		b.MarkElements(at("Claims"), len(a.Claims), len(a.Claims)+1)
		compared, err := readComparison(b, word+" claim", values)
		a.Claims = append(a.Claims, Claim{values[0], compared})
		return err
	case "header":
		b.MarkElements(at("Header"), len(a.Header), len(a.Header)+1)
		compared, err := readComparison(b, word+" header", values)
		a.Header = append(a.Header, HeaderMember{values[0], compared})
		return err
	case "group":
		b.MarkElements(at("Groups"), len(a.Groups), len(a.Groups)+len(values))
		a.Groups = append(a.Groups, values...)
	}
	return nil
}

// expected is the error for a kind without values. word is what stands before it, and usages are those of all kinds.
func expected(b *words.Block, word, kind string, usages []string) error {
	var forms []string
	for _, usage := range usages {
		if strings.HasPrefix(usage, kind+" ") {
			forms = append(forms, word+" "+usage)
		}
	}
	return b.Errf("expected: %s", strings.Join(forms, ", or "))
}

// readNot reads what must not be there, which has the form of what must.
func (a *Alternative) readNot(b *words.Block, word, path string, values []string) error {
	kind, values := values[0], values[1:]
	switch kind {
	case "scope", "claim", "header", "group":
	case "any_scope":
		return b.Errf("%s not any_scope: write %s not scope <scope...>, of which the token must have none", word, word)
	case "acr", "max_auth_age":
		return b.Errf("%s not %s: a challenge cannot ask for the opposite; to compare the claim: %s not claim acr <value...>",
			word, kind, word)
	case "any":
		return b.Errf("%s not any: write a line %s not ... for each of them, as none may hold", word, word)
	default:
		return unknown(b, word+" not", kind, []string{"scope", "claim", "header", "group"})
	}
	if len(values) == 0 {
		return expected(b, word+" not", kind, NotUsage)
	}
	var all Alternative
	if a.Not == nil {
		a.Not = new(Excluded)
	}
	all.Scopes, all.Claims, all.Header, all.Groups = a.Not.Scopes, a.Not.Claims, a.Not.Header, a.Not.Groups
	err := all.read(b, word+" not", strings.TrimPrefix(path+".Not", "."), kind, values)
	*a.Not = Excluded{all.Scopes, all.Claims, all.Header, all.Groups}
	return err
}

// readComparison reads what follows a path. The first value is the path, and what is how errors name the requirement.
func readComparison(b *words.Block, what string, values []string) (c Comparison, err error) {
	if len(values) == 1 {
		return c, nil
	}
	switch compare, terms := values[1], values[2:]; compare {
	case "like":
		if len(terms) == 0 {
			return c, b.Errf("%s %s like: a pattern must follow, such as repo:org/*; to compare with the text \"like\" "+
				"itself, use JSON, or a placeholder such as {env.NAME}", what, values[0])
		}
		c.Like = terms
	case "at_least", "at_most":
		if len(terms) != 1 {
			return c, b.Errf("%s %s %s: one number must follow; to compare with the text %q itself, use JSON, or a "+
				"placeholder such as {env.NAME}", what, values[0], compare, compare)
		}
		if compare == "at_least" {
			c.AtLeast = Number(terms[0])
		} else {
			c.AtMost = Number(terms[0])
		}
	default:
		c.Values = values[1:]
	}
	return c, nil
}

// foreignKinds are kinds of requirements by other names, and parts of them, with what to write instead.
var foreignKinds = words.NewForeign([][2]string{
	{"roles are in a claim: require claim <path> <role...>", "role roles"},
	{"here: require any_scope <scope...>", "one_of_scopes scope_any scopes_any"},
	{"here: require any_scope <scope...>, or, for alternatives of any kind: require any { ... }",
		"any_of requires_any one_of or"},
	{"all lines must hold, so write one for each", "all all_of requires_all and"},
	{"here: require not claim <path> <value...>", "not_values not_claim not_in deny none_of except exclude"},
	{"here: require not scope <scope...>", "not_scope"},
	{"here: require not group <group...>", "not_group"},
	{"here: require claim <path> like <pattern...>, with a \"*\" at the end or at the beginning",
		"like prefix suffix starts_with ends_with wildcard pattern"},
	{"see \"Patterns\" in docs/configuration.md", "regex regexp match matches contains string_match"},
	{"here: require claim <path> at_least <number>", "at_least min minimum gte"},
	{"here: require claim <path> at_most <number>", "at_most max maximum lte"},
	{"here: require acr <value...>", "acr_values acr_value loa level assurance amr_values"},
	{"here: require max_auth_age <duration>", "max_age auth_time auth_age max_authentication_age"},
	{"the methods are in a claim: require claim amr <value...>", "amr mfa"},
	{"here: audience <aud...>, in the bearer_auth block", "audience aud"},
})

// unknown is the error for an unknown kind. word is what stands before it.
func unknown(b *words.Block, word, kind string, kinds []string) error {
	hint := ""
	if meant := foreignKinds.Instead(kind); meant != "" {
		hint = " (" + meant + ")"
	} else if meant := words.MostAlike(kind, kinds); meant != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", meant)
	}
	last := len(kinds) - 1
	return b.Errf("%s %q: expected %s or %s%s", word, kind, strings.Join(kinds[:last], ", "), kinds[last], hint)
}
