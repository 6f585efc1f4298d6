package caddyjwt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/gate"
)

// issuerPlan is an issuer whose settings have been checked, and how to open what it needs.
type issuerPlan struct {
	issuer     gate.Issuer
	source     sourcePlan
	introspect *introspectPlan
}

func (i *Issuer) compile(repl *caddy.Replacer, leeway time.Duration) (issuerPlan, error) {
	var plan issuerPlan
	name, err := resolve(repl, "issuer", i.Issuer)
	if err != nil {
		return plan, err
	}
	if name == "" {
		return plan, errors.New("an issuer has no name: give the exact value of the tokens' iss")
	}
	if !utf8.ValidString(name) { // nor could it be the label of a metric
		return plan, fmt.Errorf("issuer %q: the name is not UTF-8, as every token's iss is", name)
	}
	plan.issuer.Name = name
	if err := i.compileRules(repl, &plan.issuer, leeway); err != nil {
		return plan, fmt.Errorf("issuer %q: %w", name, err)
	}
	if err := i.compileKeys(repl, &plan); err != nil {
		return plan, fmt.Errorf("issuer %q: %w", name, err)
	}
	if i.Introspect != nil {
		if plan.introspect, err = i.Introspect.compile(repl, i, &plan); err == nil {
			err = plan.introspect.check()
		}
		if err != nil {
			return plan, fmt.Errorf("issuer %q: introspect: %w", name, inOurWords(err))
		}
	}
	return plan, nil
}

// compileRules handles what tokens of the issuer must be.
func (i *Issuer) compileRules(repl *caddy.Replacer, out *gate.Issuer, leeway time.Duration) (err error) {
	if out.Audience, err = compileAudience(repl, i.Audience, i.AnyAudience); err != nil {
		return err
	}
	if out.Types, err = normalTypes(i.Types); err != nil {
		return err
	}
	switch i.Profile {
	case "":
	case "rfc9068":
		out.AccessTokenProfile = true
		if len(out.Types) > 0 && !slices.Contains(out.Types, "at+jwt") {
			return fmt.Errorf("type %q contradicts profile rfc9068, which wants at+jwt", i.Types)
		}
	default:
		return fmt.Errorf("unknown profile %q; the only one is rfc9068", i.Profile)
	}
	if err := notEmpty("require", i.Require); err != nil {
		return err
	}
	for _, text := range i.Require {
		path, err := claimPath("require", text)
		if err != nil {
			return err
		}
		out.Require = append(out.Require, path)
	}
	out.MaxLifetime, out.Leeway = time.Duration(i.MaxLifetime), leeway
	if i.Leeway != nil {
		out.Leeway = time.Duration(*i.Leeway)
	}
	return nil
}

// normalTypes makes typ values comparable with what a token's header is read as.
func normalTypes(types []string) ([]string, error) {
	if err := notEmpty("type", types); err != nil {
		return nil, err
	}
	out := make([]string, 0, len(types))
	for _, typ := range types {
		if err := literal("type", typ); err != nil {
			return nil, err
		}
		typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
		if typ == "" || slices.Contains(out, typ) {
			return nil, fmt.Errorf("type %q is empty or given twice", typ)
		}
		out = append(out, typ)
	}
	return out, nil
}
