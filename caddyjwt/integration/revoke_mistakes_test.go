package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// An order that cannot be meant is refused as a whole, with a text that says why. Nothing is revoked by it.
func TestRevokeMistakes(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	tenants := newTenants(t)
	tenants.serve("one", key.JWK())
	tenants.serve("common", key.JWK())
	o := openOffice(t, consumerAlice(t), issuerBlock(keptIssuer, pemOf(t, key), "revocation claim groups"),
		issuerBlock(otherIssuer, pemOf(t, key), "revocation off"),
		"issuer "+tenants.URL+"/*/v2.0 {\n"+tenants.common()+"\ntenants one\n}")
	token := key.Sign(t, issuedBy(keptIssuer, "jti", "1"))
	const kept = `{"issuer":"` + keptIssuer + `",`
	for name, c := range map[string]struct {
		body string
		text string // in the error
	}{
		"nothing at all":            {``, "not an object"},
		"not JSON":                  {`issuer=x`, "not an object"},
		"a list":                    {`[]`, "object"},
		"null":                      {`null`, "object"},
		"two objects":               {kept + `"sub":"a"}{}`, "byte"},
		"an empty object":           {`{}`, "name the issuer or the consumer whose tokens are meant"},
		"a member that is unknown":  {kept + `"subject":"a"}`, `unknown field "subject"`},
		"a member in other letters": {kept + `"Sub":"a"}`, "small letters"},
		"a member twice":            {kept + `"sub":"a","sub":"b"}`, "duplicate"},
		"a member twice, escaped":   {kept + `"sub":"a","s\u0075b":"b"}`, "duplicate"},
		"a member that is null":     {kept + `"sub":null}`, `"sub" is null`},
		"a member that is empty":    {kept + `"sub":""}`, `"sub" is empty`},
		"a number for a text":       {kept + `"sub":7}`, "sub of type string"},
		"dry_run as a text":         {kept + `"dry_run":"yes"}`, "dry_run of type bool"},
		"two kinds":                 {kept + `"sub":"a","sid":"b"}`, "it names sub and sid: name one of them"},
		"three kinds":               {kept + `"jti":"a","sid":"b","token":"c"}`, "jti and sid and token"},
		"a claim without a value":   {kept + `"claim":"groups"}`, "claim and value go together"},
		"a value without a claim":   {kept + `"value":"x"}`, "claim and value go together"},
		"a value and another kind":  {kept + `"value":"x","sub":"y"}`, "claim and value go together"},
		"a claim that is not named": {kept + `"claim":"role","value":"x"}`, `"role"; those of the issuer are: groups`},
		"a claim that is no path":   {kept + `"claim":"/~x","value":"x"}`, "claim"},
		"an issuer and a consumer":  {kept + `"consumer":"alice"}`, "an issuer and a consumer: name one"},
		"an unknown issuer": {`{"issuer":"https://x.example.com","sub":"a"}`,
			`issuer "https://x.example.com"; known are: consumers of a gate, by username, ` + tenants.URL},
		"an issuer whose tokens cannot be revoked": {`{"issuer":"` + otherIssuer + `"}`, "no gate accepts tokens"},
		"an unknown consumer":                      {`{"consumer":"bob"}`, `consumer "bob"`},
		"an issuer that no tenant has":             {`{"issuer":"` + tenants.URL + `/two/three/v2.0"}`, "no gate accepts"},
		"a user of all tenants": {`{"issuer":"` + tenants.URL + `/*/v2.0","sub":"a"}`,
			"name the issuer as the tokens do"},
		"the future": {kept + `"not_after":"` + time.Now().Add(time.Hour).Format(time.RFC3339) + `"}`,
			"it is in the future"},
		"the distant past":          {kept + `"not_after":"1999-01-01T00:00:00Z"}`, "have expired"},
		"the year 1":                {kept + `"not_after":"0001-01-01T00:00:00Z"}`, "the year 1"},
		"no time":                   {kept + `"not_after":"yesterday"}`, "parsing time"},
		"a time without a zone":     {kept + `"not_after":"2026-01-01T00:00:00"}`, "parsing time"},
		"a time as a number":        {kept + `"not_after":1700000000}`, "Time"},
		"a time for one token":      {kept + `"jti":"x","not_after":"2026-01-01T00:00:00Z"}`, "a single token has no"},
		"a whole token as jti":      {kept + `"jti":"` + token + `"}`, `a token belongs in "token"`},
		"a whole token as a reason": {kept + `"reason":"` + token + `"}`, `a token belongs in "token"`},
		"a token with its scheme":   {kept + `"token":"Bearer abc"}`, "give the token alone"},
		"a token with a line end":   {kept + `"token":"abc\n"}`, "give the token alone"},
		"a token of nobody":         {`{"token":"abc"}`, "the token does not say who issued it"},
		"a token of another issuer": {`{"issuer":"` + tenants.URL + `/one/v2.0","token":"` + token + `"}`,
			`the token is of the issuer "` + keptIssuer + `"`},
		"a token of a stranger": {`{"token":"` + key.Sign(t, issuedBy("https://x.example.com")) + `"}`,
			`issuer "https://x.example.com"`},
		"a long value":              {kept + `"sub":"` + strings.Repeat("x", 1025) + `"}`, "longer than 1024 bytes"},
		"a long reason":             {kept + `"reason":"` + strings.Repeat("x", 257) + `"}`, "reason: it is longer than 256"},
		"a long author":             {kept + `"author":"` + strings.Repeat("x", 257) + `"}`, "author: it is longer than 256"},
		"an author with a line end": {kept + `"author":"a\nb"}`, "cannot be printed"},
		"a reason for a terminal":   {kept + `"reason":"\u001b[2J"}`, "cannot be printed"},
		"a long order":              {kept + `"reason":"` + strings.Repeat("x", 128<<10) + `"}`, "longer than 131072 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			o := o.in(t)
			for _, method := range []string{http.MethodPost, http.MethodDelete} {
				a := o.asks(method, revocationsPath, c.body)
				if strings.Contains(c.body, "not_after") && method == http.MethodDelete && a.StatusCode == 400 {
					continue // it is refused for having a not_after at all
				}
				if a.StatusCode != http.StatusBadRequest || !strings.Contains(unescaped(a.body), c.text) {
					t.Errorf("%s: status %d, %s; want %q", method, a.StatusCode, a.body, c.text)
				}
				if strings.Contains(a.body, token[:30]) {
					t.Errorf("the token is in the answer: %s", a.body)
				}
			}
		})
	}
	o.good(token)
	if list := o.listed(""); len(list) != 0 {
		t.Errorf("listed: %q", list)
	}
	if strings.Contains(o.log(), token[len(token)-40:]) {
		t.Error("the log has the token")
	}
}

// unescaped is the text of an error in JSON, without the escapes that do not matter here.
func unescaped(text string) string { return strings.ReplaceAll(text, `\"`, `"`) }

// What was not revoked cannot be taken back: whoever asks for it has named something else than what was revoked.
func TestRestoreMistakes(t *testing.T) {
	o := openOffice(t, consumerAlice(t), issuerBlock(keptIssuer, pemOf(t, tokentest.NewKey(t, "ES256", ""))))
	o.revoke("issuer", keptIssuer, "sub", "alice")
	for body, want := range map[string]struct {
		status int
		text   string
	}{
		`{"issuer":"` + keptIssuer + `","sub":"bob"}`:                  {404, "there is nothing to take back"},
		`{"issuer":"` + keptIssuer + `"}`:                              {404, "there is nothing to take back"},
		`{"consumer":"alice"}`:                                         {404, "there is nothing to take back"},
		`{"issuer":"` + keptIssuer + `","sub":"alice","dry_run":true}`: {400, "dry_run is only for revoking"},
		`{"issuer":"` + keptIssuer + `","sub":"alice","not_after":"2026-01-01T00:00:00Z"}`: {400,
			"what is taken back has no not_after"},
	} {
		if a := o.asks(http.MethodDelete, revocationsPath, body); a.StatusCode != want.status ||
			!strings.Contains(a.body, want.text) {
			t.Errorf("%s: status %d, %s", body, a.StatusCode, a.body)
		}
	}
	if got := o.restore("issuer", keptIssuer, "sub", "alice")["restored"]; got == nil {
		t.Error("the answer does not say what was taken back")
	}
}

// Other methods, and a configuration without a store.
func TestRevocationsWithoutAStore(t *testing.T) {
	o := newOffice(t)
	o.store = ""
	o.loadFile(o.kept(o.caddyfile(gateFor(consumerAlice(t)))))
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		if a := o.asks(method, revocationsPath, `{"consumer":"alice"}`); a.StatusCode != http.StatusNotFound ||
			!strings.Contains(a.body, "the configuration has no store") {
			t.Errorf("%s: status %d, %s", method, a.StatusCode, a.body)
		}
	}
	o.store = "memory"
	o.open(consumerAlice(t))
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodHead, "PURGE"} {
		if a := o.asks(method, revocationsPath, `{"consumer":"alice"}`); a.StatusCode != http.StatusMethodNotAllowed ||
			a.Header.Get("Allow") != "DELETE, GET, POST" {
			t.Errorf("%s: status %d, Allow %q", method, a.StatusCode, a.Header.Get("Allow"))
		}
	}
}
