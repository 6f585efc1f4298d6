package issuing

import (
	"bytes"
	"encoding/json"
	"time"
)

// Claims are those of an access token.
type Claims struct {
	Issuer, Subject, Session string
	// App is the path of the application that the token is for.
	App string
	// ID is the jti.
	ID       string
	Audience []string
	ClientID string
	// Group is what sessions have in common that end together; empty for none.
	Group string
	// IssuedAt has milliseconds, and Expires has seconds.
	IssuedAt, Expires time.Time
	// Further is a JSON object with claims of other names, or nil.
	Further json.RawMessage
}

// claimMembers are the claims in the order of InterSystems IRIS, and after them those of RFC 9068 section 2.2.
type claimMembers struct {
	IssuedAt json.Number `json:"iat"`
	Expires  int64       `json:"exp"`
	Issuer   string      `json:"iss"`
	Subject  string      `json:"sub"`
	Session  string      `json:"sid"`
	App      string      `json:"app"`
	ID       string      `json:"jti"`
	Audience any         `json:"aud"`
	ClientID string      `json:"client_id"`
	Group    string      `json:"group,omitempty"`
}

// Payload is the claims as JSON. A single audience is a text (RFC 7519 section 4.1.3).
func (c *Claims) Payload() []byte {
	members := claimMembers{
		IssuedAt: Date(c.IssuedAt), Expires: c.Expires.Unix(), Issuer: c.Issuer, Subject: c.Subject, Session: c.Session,
		App: c.App, ID: c.ID, Audience: c.Audience, ClientID: c.ClientID, Group: c.Group,
	}
	if len(c.Audience) == 1 {
		members.Audience = c.Audience[0]
	}
	text := encode(&members)
	if further := bytes.TrimSpace(c.Further); len(further) > len("{}") {
		text = append(append(text[:len(text)-1], ','), further[1:]...)
	}
	return text
}
