package introspect_test

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

// FuzzAnswer gives the client any text as an answer. It must never panic. A verdict is active only if another JSON
// reader agrees.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"active":true}`, `{"active":false}`, `{"active":"true"}`, `{"active":true,"active":false}`, `{"Active":true}`,
		`{"active":true,"exp":1700000000.5,"nbf":0,"iat":1e9}`, `{"active":true,"exp":1e400}`, `{"active":true,"exp":-1}`,
		`{"\u0061ctive":true,"x":[{"y":{}},[],"\ud800"]}`, "\xef\xbb\xbf{}",
		`{"active":true}{}`, `[]`, ``, `{"active":true,"x":` + nested(20) + `}`,
	} {
		f.Add(seed)
	}
	var text string
	cfg := fakeConfig(func(*http.Request) (*http.Response, error) { return response(200, text), nil })
	cfg.CacheTTL, cfg.NegativeTTL = introspect.Off, introspect.Off
	c := newClient(f, cfg)
	f.Fuzz(func(t *testing.T, body string) {
		text = body
		r, err := c.Introspect(t.Context(), testToken)
		if err != nil {
			if !errors.Is(err, introspect.CauseProtocol) || r != (introspect.Result{}) {
				t.Fatalf("the error is %v, the result %+v", err, r)
			}
			return
		}
		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(body), &members) != nil || string(members["active"]) != strconv.FormatBool(r.Active) {
			t.Fatalf("%q is read as %+v", body, r)
		}
		if !r.Active {
			return
		}
		for name, at := range map[string]time.Time{"exp": r.ExpiresAt, "nbf": r.NotBefore} {
			text, there := members[name]
			seconds, err := strconv.ParseFloat(string(text), 64)
			if there != (err == nil) || there == at.IsZero() {
				t.Fatalf("%q: %s is read as %v", body, name, at)
			}
			if there && (at.Unix() < 0 || at.Year() > 9999 || math.Abs(float64(at.Unix())-seconds) > 1) {
				t.Fatalf("%q: %s is read as %v", body, name, at)
			}
		}
	})
}

// FuzzToken sends any token. The server gets exactly that token and nothing else.
func FuzzToken(f *testing.F) {
	for _, seed := range []string{testToken, "a&b=c", "a+b c%20", "\x00\xff", "é"} {
		f.Add(seed)
	}
	var got []string
	var fields int
	cfg := fakeConfig(func(r *http.Request) (*http.Response, error) {
		if err := r.ParseForm(); err != nil {
			return nil, err
		}
		got, fields = r.PostForm["token"], len(r.PostForm)
		return response(200, `{"active":true}`), nil
	})
	cfg.CacheTTL = introspect.Off
	c := newClient(f, cfg)
	f.Fuzz(func(t *testing.T, token string) {
		if token == "" || len(token) > introspect.MaxToken {
			t.Skip()
		}
		r, err := c.Introspect(t.Context(), token)
		wantActive(t, true, r, err)
		if len(got) != 1 || got[0] != token || fields != 2 {
			t.Fatalf("token %q arrived as %q among %d fields", token, got, fields)
		}
	})
}
