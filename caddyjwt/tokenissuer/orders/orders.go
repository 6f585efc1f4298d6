// Package orders is what operators ask a running token issuer at Caddy's admin endpoint, and what they hear. None of it
// has a token, a hash or a key.
package orders

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/adminroute"
)

// Paths at the admin endpoint.
const (
	IssuersPath  = "/token_issuer/issuers"
	SessionsPath = "/token_issuer/sessions"
	KeysPath     = "/token_issuer/keys"
	ClientsPath  = "/token_issuer/clients"
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

// Clients are the OAuth clients of an issuer.
type Clients struct {
	Issuer  string   `json:"issuer,omitempty"` // empty for those of a file
	Clients []Client `json:"clients"`
}

// Client is one of them.
type Client struct {
	ID string `json:"client_id"`
	// Authentication is how it shows who it is: "client_secret", "private_key_jwt", "tls_client_auth",
	// "self_signed_tls_client_auth", or "none" for a public client.
	Authentication string   `json:"authentication"`
	Secrets        int      `json:"secrets,omitempty"` // how many it has: 2 while it gets another one
	Grants         []string `json:"grants"`
	Scopes         []string `json:"scopes"`
	Audience       []string `json:"audience"`
	Introspect     []string `json:"introspect"`
	// Exchange says whose tokens it can hand in for others.
	Exchange []Exchange `json:"exchange,omitempty"`
	// Proof is what its access tokens are bound to at least: "dpop" or "mtls".
	Proof string `json:"proof,omitempty"`
	// Token is "opaque" if nobody but the issuer can read its access tokens.
	Token string `json:"token,omitempty"`
	// AccessLifetime is how many seconds its access tokens live. A client without tokens in its own name has none.
	AccessLifetime int64 `json:"access_lifetime,omitempty"`
	// AccessLifetimes are those of single audiences.
	AccessLifetimes map[string]int64 `json:"access_lifetimes,omitempty"`
	// Claims and Header are what its tokens have besides.
	Claims map[string]json.RawMessage `json:"claims,omitempty"`
	Header map[string]any             `json:"header,omitempty"`
	From   Source                     `json:"from"`
}

// Exchange is whose tokens a client can hand in, and what it gets for them.
type Exchange struct {
	From            string   `json:"from"`
	Grant           string   `json:"grant"`                      // the grant_type
	SubjectAudience []string `json:"subject_audience,omitempty"` // none means the id of the client
	Audience        []string `json:"audience,omitempty"`         // none means those of the client
	Scopes          []string `json:"scopes,omitempty"`
	Claims          []string `json:"claims,omitempty"`
	SubjectPrefix   string   `json:"subject_prefix,omitempty"`
}

// Source is where a client is registered.
type Source string

// The sources.
const (
	OfConfiguration Source = "configuration"
	OfFile          Source = "file"
	OfApplication   Source = "application" // a public client, with the path of the application as its id
)

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

// maxBody bounds a body, in bytes.
const maxBody = 8 << 10

// ReadEnd reads an End. It refuses one that names nobody, or that says the same thing twice.
func ReadEnd(from io.Reader) (*End, error) {
	o := new(End)
	if err := adminroute.Read(from, maxBody, o); err != nil {
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
	if err := adminroute.Read(from, maxBody, o); err != nil {
		return nil, err
	}
	if o.Action != Rotate && o.Action != Reset {
		return nil, fmt.Errorf("action %q: expected %q, which changes the key that signs and leaves all tokens good, or %q, "+
			"which takes the keys away and all tokens with them", o.Action, Rotate, Reset)
	}
	return o, nil
}
