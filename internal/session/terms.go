package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Bounds of terms and logins.
const (
	maxName     = 256                        // bytes of the name of an app
	maxSubject  = 1 << 10                    // bytes of a subject, a client id and a group each
	maxMark     = 64                         // bytes of the mark of its holder
	maxKey      = 64                         // bytes of the thumbprint of a key
	maxLifetime = 100 * 365 * 24 * time.Hour // far from what overflows
)

// Check refuses terms that cannot be meant, with ErrTerms. Begin, Refresh and End call it, too.
func (t *Terms) Check() error {
	if err := t.mistake(); err != nil {
		return fmt.Errorf("%w of an app: %w", ErrTerms, err)
	}
	return nil
}

func (t *Terms) mistake() error {
	switch {
	case t.App == "" || len(t.App) > maxName || !utf8.ValidString(t.App):
		return fmt.Errorf("its name must be UTF-8 and have 1 to %d bytes", maxName)
	case t.AccessLifetime < time.Second || t.AccessLifetime > maxLifetime:
		return fmt.Errorf("access tokens live %v: want 1s or more", t.AccessLifetime)
	case t.RefreshLifetime < time.Second || t.RefreshLifetime > maxLifetime:
		return fmt.Errorf("refresh tokens live %v: want 1s or more", t.RefreshLifetime)
	case t.Grace < 0 || t.Grace > t.AccessLifetime:
		return fmt.Errorf("the grace is %v: want 0s to the %v that access tokens live", t.Grace, t.AccessLifetime)
	case t.Absolute < 0 || t.Absolute > maxLifetime:
		return fmt.Errorf("sessions live %v: want 0s, for no bound, or more", t.Absolute)
	}
	return nil
}

// check refuses a login that cannot be meant, and returns its claims without space.
func (l *Login) check() (claims json.RawMessage, err error) {
	claims, err = compactClaims(l.Claims)
	switch {
	case err != nil:
	case l.Subject == "":
		err = errors.New("it has no subject")
	case checkKey(l.Key) != nil:
		err = checkKey(l.Key)
	case len(l.Mark) > maxMark || !utf8.ValidString(l.Mark):
		err = fmt.Errorf("its mark must be UTF-8 and have at most %d bytes", maxMark)
	default:
		for _, text := range []string{l.Subject, l.ClientID, l.Group} {
			// JSON has only UTF-8. Other bytes would be replaced, and make one subject of two.
			if len(text) > maxSubject || !utf8.ValidString(text) {
				err = fmt.Errorf("subject, client id and group must be UTF-8 and have at most %d bytes", maxSubject)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w of a login: %w", ErrTerms, err)
	}
	return claims, nil
}

// checkKey refuses what no thumbprint of a key is.
func checkKey(key string) error {
	if len(key) > maxKey || !utf8.ValidString(key) {
		return fmt.Errorf("its key must be UTF-8 and have at most %d bytes", maxKey)
	}
	return nil
}

// compactClaims returns claims without space; nil for none.
func compactClaims(claims json.RawMessage) (json.RawMessage, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, claims); err != nil || compact.Bytes()[0] != '{' || !utf8.Valid(compact.Bytes()) {
		return nil, errors.New("the claims are not a JSON object")
	}
	if compact.Len() > MaxClaims {
		return nil, fmt.Errorf("the claims have %d bytes, and at most %d are kept", compact.Len(), MaxClaims)
	}
	return compact.Bytes(), nil
}

// end is when a refresh token of a session expires that is made now.
func (t *Terms) end(created, now int64) int64 {
	end := now + t.RefreshLifetime.Milliseconds()
	if t.Absolute > 0 {
		end = min(end, created+t.Absolute.Milliseconds())
	}
	return end
}

// accessEnd is the exp of an access token, in seconds.
func (t *Terms) accessEnd(issued int64) int64 {
	return (issued + t.AccessLifetime.Milliseconds()) / 1000
}
