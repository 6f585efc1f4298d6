package tokenissuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
		if err != nil {
			return setting.Errorf("Claims", "claim %q: %w", name, err)
		}
	}
	return nil
}

// checkPlaceholder refuses what clients write into their requests: they could choose the claim.
func checkPlaceholder(name string) error {
	sent, is := strings.CutPrefix(name, "http.request.")
	if is && !strings.HasPrefix(sent, "remote") && !strings.HasPrefix(sent, "tls.") {
		return fmt.Errorf("clients could choose what {%s} is: have map or vars make a value of it that you trust", name)
	}
	return nil
}

// furtherFor are further claims for an access token of the application: those of the user, and over them those of the
// application, as the request has them. One whose placeholders are all empty is left out.
func (a *application) furtherFor(ctx context.Context, user json.RawMessage) (json.RawMessage, error) {
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
	for name, text := range a.claims {
		delete(all, name)
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
	return json.Marshal(all)
}

// furtherClaims are what a directory says about a user, with the roles as one of the claims.
func furtherClaims(user *users.User) (json.RawMessage, error) {
	if len(user.Roles) == 0 {
		return user.Claims, nil
	}
	all := make(map[string]json.RawMessage)
	if user.Claims != nil {
		if err := json.Unmarshal(user.Claims, &all); err != nil {
			return nil, err
		}
	}
	roles, err := json.Marshal(user.Roles)
	if err != nil {
		return nil, err
	}
	all[issuers.RolesClaim] = roles
	return json.Marshal(all)
}
