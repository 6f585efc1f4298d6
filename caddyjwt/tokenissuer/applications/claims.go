package applications

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

// Bounds of the claims of an application.
const (
	maxClaims    = 16
	maxClaimText = 1 << 10 // bytes of a text, before and after its placeholders are resolved
)

// checkClaims checks the claims of an application. What their placeholders stand for is known only when somebody signs
// in.
func (a *App) checkClaims() error {
	if len(a.Claims) > maxClaims {
		return setting.Errorf("Claims", "claim: at most %d are possible", maxClaims)
	}
	for name, text := range a.Claims {
		err := users.CheckClaim(name)
		switch {
		case err != nil:
		case text == "":
			err = errors.New("it has no text")
		case len(text) > maxClaimText || !utf8.ValidString(text):
			err = fmt.Errorf("a text is UTF-8 of at most %d bytes", maxClaimText)
		default:
			_, err = caddy.NewReplacer().ReplaceFunc(text, func(name string, _ any) (any, error) {
				return "", checkPlaceholder(name)
			})
		}
		for other := range a.Claims {
			if err == nil && other != name && strings.EqualFold(other, name) {
				err = fmt.Errorf("it is there as %q, too, and some readers take one for the other: remove one of the two", other)
			}
		}
		if err != nil {
			return setting.Errorf("Claims", "claim %q: %w", name, err)
		}
	}
	return nil
}

// checkPlaceholder refuses what clients may have written into their requests: they could choose the claim. Of what HTTP
// modules of Caddy have, these are no such things. Other names are those of map, and of the environment.
func checkPlaceholder(name string) error {
	if !strings.HasPrefix(name, "http.") {
		return nil
	}
	for _, good := range []string{"http.vars.", "http.auth.", "http.request.remote"} {
		if strings.HasPrefix(name, good) {
			return nil
		}
	}
	return fmt.Errorf("clients may choose what {%s} is: have map or vars make a value of it that you trust", name)
}

// Further are further claims for an access token of the application: those of the user, and over them those of the
// application, as the request has them. One whose placeholders are all empty is left out.
func (a *Application) Further(ctx context.Context, user json.RawMessage) (json.RawMessage, error) {
	if len(a.claims) == 0 {
		return user, nil
	}
	repl, is := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !is {
		return nil, errors.New("claims of an application outside of a request")
	}
	all := make(map[string]any)
	if len(user) > 0 {
		of := make(map[string]json.RawMessage)
		if err := json.Unmarshal(user, &of); err != nil {
			return nil, err
		}
		for name, value := range of {
			all[name] = value
		}
	}
	maps.DeleteFunc(all, func(name string, _ any) bool { return a.replaces(name) })
	for name, text := range a.claims {
		text, err := repl.ReplaceOrErr(text, false, true)
		switch {
		case err != nil:
			return nil, fmt.Errorf("claim %q: %w", name, err)
		case len(text) > maxClaimText || !utf8.ValidString(text):
			return nil, fmt.Errorf("claim %q is no UTF-8 of at most %d bytes", name, maxClaimText)
		case text != "":
			all[name] = text
		}
	}
	return asJSON(all)
}

// replaces reports whether the application has a claim that some readers take for one with this name.
func (a *Application) replaces(name string) bool {
	for own := range a.claims {
		if strings.EqualFold(own, name) {
			return true
		}
	}
	return false
}

// asJSON is JSON in as few bytes as possible: package json makes six of one "<".
func asJSON(v any) (json.RawMessage, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSpace(text.Bytes()), err
}

// ClaimsOf is what a directory says about a user, with the roles as one of the claims.
func ClaimsOf(user *users.User) (json.RawMessage, error) {
	if len(user.Roles) == 0 {
		return user.Claims, nil
	}
	all := make(map[string]json.RawMessage)
	if user.Claims != nil {
		if err := json.Unmarshal(user.Claims, &all); err != nil {
			return nil, err
		}
	}
	roles, err := asJSON(user.Roles)
	if err != nil {
		return nil, err
	}
	all[issuers.RolesClaim] = roles
	return asJSON(all)
}
