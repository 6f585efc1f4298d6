package revocations

import (
	"time"

	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/internal/revoke"
)

// Shown is an entry as the admin API, the log and events show it.
type Shown struct {
	Issuer   string `json:"issuer,omitempty"`
	Consumer string `json:"consumer,omitempty"`
	// By is what the tokens have in common: "jti", "token", "sub", "sid", "client_id", "claim", or "all".
	By string `json:"by"`
	// Claim is a JSON pointer.
	Claim string `json:"claim,omitempty"`
	// Value is the value that they have. That of "token" is a hash.
	Value    string     `json:"value,omitempty"`
	NotAfter *time.Time `json:"not_after,omitempty"`
	Expires  time.Time  `json:"expires"`
	At       time.Time  `json:"at"`
	Author   string     `json:"author,omitempty"`
	Reason   string     `json:"reason,omitempty"`
}

// Show shows an entry.
func Show(e *revoke.Entry) Shown {
	s := Shown{
		Issuer: e.Issuer, Consumer: e.Consumer, By: e.Kind.String(), Claim: e.Claim, Value: e.Value,
		Expires: e.Expires.UTC(), At: e.At.UTC().Truncate(time.Millisecond), Author: e.Author, Reason: e.Reason,
	}
	if !e.NotAfter.IsZero() && !e.Lifted {
		notAfter := e.NotAfter.UTC()
		s.NotAfter = &notAfter
	}
	return s
}

// data is what an event has.
func (s Shown) data() map[string]any {
	data := map[string]any{"by": s.By}
	for name, text := range map[string]string{
		"issuer": s.Issuer, "consumer": s.Consumer, "claim": s.Claim, "value": s.Value,
		"author": s.Author, "reason": s.Reason,
	} {
		if text != "" {
			data[name] = text
		}
	}
	if s.NotAfter != nil {
		data["not_after"] = s.NotAfter.Format(time.RFC3339)
	}
	return data
}

// fields is the audit line.
func (s Shown) fields() (fields []zap.Field) {
	for _, field := range []struct{ name, text string }{
		{"issuer", s.Issuer}, {"consumer", s.Consumer}, {"by", s.By}, {"claim", s.Claim}, {"value", s.Value},
		{"author", s.Author}, {"reason", s.Reason},
	} {
		if field.text != "" {
			fields = append(fields, zap.String(field.name, field.text))
		}
	}
	if s.NotAfter != nil {
		fields = append(fields, zap.Time("not_after", *s.NotAfter))
	}
	return fields
}
