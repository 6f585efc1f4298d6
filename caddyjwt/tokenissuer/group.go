package tokenissuer

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/facts"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/people"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

// checkGroups refuses a claim that no user can have. It is no warning, because whoever relies on the group would think
// that a logout has ended sessions that go on.
func (h *Handler) checkGroups() error {
	for i := range h.Apps {
		group := h.Apps[i].GroupBy
		if group == nil || group.Claim == "" || group.Claim == "sub" {
			continue
		}
		if !slices.ContainsFunc(h.UsersFrom, func(from people.Source) bool { return from.HasClaim(group.Claim) }) {
			return setting.Errorf(setting.Element("Apps", i)+".GroupBy.Claim", "app %s: group_by claim %q would group "+
				"nothing: no users can have this claim; write \"group_by claim sub\", which has all sessions of a user, or "+
				"\"group_by cookie <name>\", or let a server give the claim", h.Apps[i].Path, group.Claim)
		}
	}
	return nil
}

// groupOf is the group of a session that begins; empty for none. It may set a cookie.
func (c *call) groupOf(user *users.User) (string, error) {
	by := c.app.Group
	switch {
	case by == nil:
		return "", nil
	case by.Claim == "sub":
		return "sub=" + user.Name, nil
	case by.Claim != "":
		if text := textClaim(user, by.Claim); text != "" {
			return by.Claim + "=" + text, nil
		}
		return "", nil
	}
	value, err := cookieOf(c.r, by.Cookie)
	if err != nil {
		return "", err
	}
	if value == "" {
		value = rand.Text()
		http.SetCookie(c.w, &http.Cookie{
			Name: by.Cookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
			Secure: c.isSecure() || strings.HasPrefix(by.Cookie, "__"), // __Host- and __Secure- need it
		})
	}
	// Whoever sees the claim must not be able to join the group.
	sum := sha256.Sum256([]byte("group\x00" + c.issuer.name + "\x00" + value))
	return base64.RawURLEncoding.EncodeToString(sum[:18]), nil
}

// textClaim is a claim of a user, if it is a text of a length that can be revoked.
func textClaim(user *users.User, name string) string {
	var all map[string]any
	if user.Claims == nil || json.Unmarshal(user.Claims, &all) != nil {
		return ""
	}
	if text, _ := all[name].(string); len(text) <= mostGroup {
		return text
	}
	return ""
}

// mostGroup bounds a group, in bytes.
const mostGroup = 512

// Bounds of the value of the cookie, in bytes. What is shorter could be guessed.
const (
	leastCookie = 16
	mostCookie  = 256
)

// cookieOf is the value of a cookie. It is empty if there is none, or one that nobody set here.
func cookieOf(r *http.Request, name string) (string, error) {
	found := r.CookiesNamed(name)
	switch {
	case len(found) > 1:
		return "", &issuing.Failure{
			Status: http.StatusBadRequest, Code: issuing.InvalidRequest, Text: "the cookie for the group is there twice",
		}
	case len(found) == 0 || len(found[0].Value) < leastCookie || len(found[0].Value) > mostCookie:
		return "", nil
	}
	return found[0].Value, nil
}

// isSecure reports whether the client uses TLS, as far as Caddy knows.
func (c *call) isSecure() bool { return facts.Of(c.r).Scheme() == "https" }

// endGroup ends all sessions of a group.
func (i *issuer) endGroup(c *call, group string) error {
	now := time.Now()
	return c.backing.CutOff(c.r.Context(), revoke.Target{
		Issuer: i.name, Kind: revoke.Claim, Claim: issuers.GroupPath().Pointer(), Value: group,
	}, now, now.Add(c.longest+i.longestAccess()+time.Minute))
}
