package issuing

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// Claims are those of an access token.
type Claims struct {
	Issuer, Subject, Session string
	// App is the path of the application that the token is for; empty for a token of a client. That has a session only if
	// it stands for the user of one.
	App string
	// ID is the jti.
	ID       string
	Audience []string
	ClientID string
	// Scopes are those of a token of a client.
	Scopes []string
	// Group is what sessions have in common that end together; empty for none.
	Group string
	// Key and Certificate are thumbprints of what the token is bound to (RFC 9449 section 6.1, RFC 8705 section 3.1);
	// empty for none.
	Key, Certificate string
	// Actor is who acts for the subject, as the claim act has it (RFC 8693 section 4.1); nil for nobody.
	Actor json.RawMessage
	// IssuedAt has milliseconds, and Expires has seconds.
	IssuedAt, Expires time.Time
	// Further is a JSON object with claims of other names, or nil.
	Further json.RawMessage
}

// claimMembers are the claims in the order of InterSystems IRIS, and after them those of RFC 9068 section 2.2.
type claimMembers struct {
	IssuedAt json.Number     `json:"iat"`
	Expires  int64           `json:"exp"`
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Session  string          `json:"sid,omitempty"`
	App      string          `json:"app,omitempty"`
	ID       string          `json:"jti"`
	Audience any             `json:"aud"`
	ClientID string          `json:"client_id"`
	Scope    string          `json:"scope,omitempty"`
	Group    string          `json:"group,omitempty"`
	Actor    json.RawMessage `json:"act,omitempty"`
	Bound    *bound          `json:"cnf,omitempty"`
}

type bound struct {
	Key         string `json:"jkt,omitempty"`
	Certificate string `json:"x5t#S256,omitempty"`
}

// Payload is the claims as JSON. A single audience is a text (RFC 7519 section 4.1.3).
func (c *Claims) Payload() []byte {
	members := claimMembers{
		IssuedAt: Date(c.IssuedAt), Expires: c.Expires.Unix(), Issuer: c.Issuer, Subject: c.Subject, Session: c.Session,
		App: c.App, ID: c.ID, Audience: c.Audience, ClientID: c.ClientID, Group: c.Group,
		Scope: strings.Join(c.Scopes, " "), Actor: c.Actor,
	}
	if len(c.Audience) == 1 {
		members.Audience = c.Audience[0]
	}
	if c.Key != "" || c.Certificate != "" {
		members.Bound = &bound{c.Key, c.Certificate}
	}
	text := encode(&members)
	if further := bytes.TrimSpace(c.Further); len(further) > len("{}") {
		text = append(append(text[:len(text)-1], ','), further[1:]...)
	}
	return text
}
