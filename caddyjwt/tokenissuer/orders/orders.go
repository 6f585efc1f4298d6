// Package orders is what operators ask a running token issuer at Caddy's admin endpoint, and what they hear. None of it
// has a token, a hash or a key.
package orders

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Paths at the admin endpoint.
const (
	IssuersPath  = "/token_issuer/issuers"
	SessionsPath = "/token_issuer/sessions"
	KeysPath     = "/token_issuer/keys"
)

// Issuers are the token issuers that run.
type Issuers struct {
	Issuers []Issuer `json:"issuers"`
}

// Issuer is one of them.
type Issuer struct {
	Issuer    string `json:"issuer"`
	Algorithm string `json:"algorithm"`
	Apps      []App  `json:"apps"`
}

// App is an application of an issuer, with the addresses for its clients.
type App struct {
	Path     string   `json:"path"`
	Audience []string `json:"audience"`
	Login    string   `json:"login"`
	Refresh  string   `json:"refresh"`
	Logout   string   `json:"logout"`
	Revoke   string   `json:"revoke"`
}

// Sessions are those of a user, or a part of all.
type Sessions struct {
	Issuer   string    `json:"issuer"`
	Sessions []Session `json:"sessions"`
	// Next is the parameter "part" of the request for more, of all sessions; 0 if there are no more.
	Next int `json:"next,omitempty"`
	// Unreadable is how many users have sessions that the store has lost, or that another version of Caddy has written.
	Unreadable int `json:"unreadable,omitempty"`
}

// Session is one that is alive. Its times are UTC.
type Session struct {
	SID       string    `json:"sid"`
	App       string    `json:"app"`
	Subject   string    `json:"sub"`
	Created   time.Time `json:"created"`
	Refreshed time.Time `json:"refreshed"`
	Ends      time.Time `json:"ends"` // unless it is refreshed
}

// End says which sessions to end: the one of SID, or those of User, in all applications or in App.
type End struct {
	Issuer string `json:"issuer,omitempty"` // empty for the only one
	SID    string `json:"sid,omitempty"`
	User   string `json:"user,omitempty"`
	App    string `json:"app,omitempty"`
}

// Ended says how many sessions that were alive have ended.
type Ended struct {
	Issuer string `json:"issuer"`
	Ended  int    `json:"ended"`
}

// Keys are those that verify tokens of an issuer: the one that signs, the next one, and the former ones.
type Keys struct {
	Issuer string `json:"issuer"`
	Action Action `json:"action,omitempty"` // what was done before
	Keys   []Key  `json:"keys"`
}

// Key is one of them. Its times are UTC.
type Key struct {
	KeyID     string    `json:"kid"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"` // "signs", "next" or "former"
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until,omitzero"` // of a former one
}

// Change says what to do with the keys of an issuer.
type Change struct {
	Issuer string `json:"issuer,omitempty"` // empty for the only one
	Action Action `json:"action"`
}

// Action is what can be done with the keys of an issuer.
type Action string

// The actions.
const (
	Rotate Action = "rotate" // another key signs, and all tokens stay good
	Reset  Action = "reset"  // all tokens are out
)

// errBody means that a body is not the object that it must be.
var errBody = errors.New("the body is not the object that it must be")

// maxBody bounds a body, in bytes.
const maxBody = 8 << 10

// ReadEnd reads an End. It refuses one that names nobody, or that says the same thing twice.
func ReadEnd(from io.Reader) (*End, error) {
	o := new(End)
	if err := read(from, o); err != nil {
		return nil, err
	}
	switch {
	case o.SID == "" && o.User == "":
		return nil, errors.New("whose sessions are to end? Name a sid or a user")
	case o.SID != "" && (o.User != "" || o.App != ""):
		return nil, errors.New("a sid is that of one session: leave user and app out")
	}
	return o, nil
}

// ReadChange reads a Change.
func ReadChange(from io.Reader) (*Change, error) {
	o := new(Change)
	if err := read(from, o); err != nil {
		return nil, err
	}
	if o.Action != Rotate && o.Action != Reset {
		return nil, fmt.Errorf("action %q: expected %q, which changes the key that signs and leaves all tokens good, or %q, "+
			"which takes the keys away and all tokens with them", o.Action, Rotate, Reset)
	}
	return o, nil
}

// read reads an object whose members are texts. It refuses members that it does not know, and empty ones: they were
// meant to make an order narrower.
func read(from io.Reader, into any) error {
	text, err := io.ReadAll(io.LimitReader(from, maxBody+1))
	if err != nil {
		return err
	}
	if len(text) > maxBody {
		return fmt.Errorf("%w: it is longer than %d bytes", errBody, maxBody)
	}
	members, err := strictjson.ParseMembers(text, strictjson.Limits{}) // it also refuses duplicates
	if err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	for _, member := range members {
		name, _ := member.Name.Str()
		switch value, isText := member.Value.Str(); {
		case strings.ToLower(name) != name: // package json would take it for another
			return fmt.Errorf("%w: all members have names in small letters", errBody)
		case !isText || value == "":
			return fmt.Errorf("%w: %q is empty, or no text: leave it out if it does not matter", errBody, name)
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	return nil
}

// Parameters reads the query of an address. It refuses what is not known, empty, or there twice.
func Parameters(query string, known ...string) (map[string]string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("the query cannot be read: %w", err)
	}
	read := make(map[string]string, len(values))
	for name, texts := range values {
		switch {
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("the parameter %q is unknown: there are %s", name, strings.Join(known, ", "))
		case len(texts) > 1 || texts[0] == "":
			return nil, fmt.Errorf("the parameter %q is empty, or there twice", name)
		}
		read[name] = texts[0]
	}
	return read, nil
}
