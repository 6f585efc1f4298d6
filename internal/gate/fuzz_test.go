package gate_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/http/httpguts"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// identityHeaders are those that no client may set.
var identityHeaders = []string{
	"X-Consumer-Id", "X-Consumer-Custom-Id", "X-Consumer-Username",
	"X-Consumer-Groups", "X-Credential-Identifier", "X-Anonymous-Consumer",
}

// isManaged compares names like a backend that cannot distinguish characters other than letters and digits. It is an
// independent check of fields.Names.
func isManaged(name string, more ...string) bool {
	alike := func(s string) string {
		b := []byte(s)
		for i, c := range b {
			switch {
			case c >= 'A' && c <= 'Z':
				b[i] = c | 0x20
			case (c < 'a' || c > 'z') && (c < '0' || c > '9'):
				b[i] = '_'
			}
		}
		return string(b)
	}
	same := func(managed string) bool { return alike(managed) == alike(name) }
	return slices.ContainsFunc(identityHeaders, same) || slices.ContainsFunc(more, same)
}

// Whatever a claim contains, a backend reads it as one value of one header, and as nothing else.
func FuzzForwardedClaim(f *testing.F) {
	for _, value := range []string{
		`"alice"`, `" admin "`, `"a\r\nX-Admin: 1"`, `"\u0000"`, `"\u0085\u2028"`,
		`"Zoë"`, `["a","b"]`, `["a","b,c"]`, `{"a":"\n"}`, "1e400", "null",
		`""`, `" "`, `"\t"`, `"\ud83d\ude00"`, "{\"\u0085\":1}", `["\u007f"]`, "-0.0", `[" a","b "]`, `[[]]`,
	} {
		f.Add(`{"sub":"a","v":`+value+`}`, "v", "X-Consumer-ID", "admin")
	}
	f.Add(`{"https://x.example/v":{"a":[1]}}`, "https://x.example/v", "x_value", "admin")
	f.Add(`{"a":{"b":[" 1"]}}`, "/a/b/0", "X.Value", "")
	f.Add(`{"a":{"b.c":true}}`, `a.b\.c`, "X-Value", "\r\n")
	base := config(f, tokentest.NewKey(f, "EdDSA", "k1"))
	f.Fuzz(func(t *testing.T, text, claim, name, value string) {
		set, err := claims.Decode([]byte(text))
		if err != nil {
			return
		}
		where, err := claims.ParsePath(claim)
		if err != nil {
			return
		}
		c := base
		c.ForwardClaims = []gate.Forward{{Path: where, Header: "X-Value"}, {Path: path(t, "sub"), Header: "x-user"}}
		g := open(t, c)
		r := request("")
		for _, managed := range append(identityHeaders, "X-Value", "X_USER") {
			r.Header[managed] = []string{"forged", "forged"}
		}
		r.Header[name] = append(r.Header[name], value, value)
		g.Strip(r)
		before := r.Header.Clone()
		err = g.Annotate(r, &gate.Identity{ID: set.Subject, Issuer: issuerA, Claims: set})
		if err != nil && gate.FailureOf(err).Reason != gate.UnsafeClaim {
			t.Fatalf("error %v", err)
		}
		added := onlyManaged(t, before, r.Header)
		if err != nil && len(added) > 0 {
			t.Fatalf("refused, and yet the backend gets %q", added)
		}
		if got, want := added["X-Value"], plainText(text, claim); err == nil && want != "" && got != want {
			t.Fatalf("%q became %q", want, got)
		}
	})
}

// onlyManaged returns the managed headers that were added. Nothing else may have changed.
func onlyManaged(t *testing.T, before, after http.Header) map[string]string {
	t.Helper()
	added := make(map[string]string)
	others := after.Clone()
	for name, values := range after {
		if !isManaged(name, "X-Value", "X-User") {
			continue
		}
		delete(others, name)
		if len(values) != 1 || name != http.CanonicalHeaderKey(name) {
			t.Fatalf("%q: %q", name, values)
		}
		added[name] = values[0]
		if v := values[0]; v == "" || strings.Contains(v, "forged") || !httpguts.ValidHeaderFieldValue(v) ||
			strings.ContainsFunc(v, unicode.IsControl) || textproto.TrimString(v) != v {
			t.Fatalf("%s: %q would not arrive as it is", name, v)
		}
	}
	if !maps.EqualFunc(before, others, slices.Equal) {
		t.Fatalf("other headers: %q became %q", before, others)
	}
	return added
}

// plainText is a claim, read by the standard library, if it is a string that needs no escapes. Otherwise it is empty.
func plainText(text, claim string) string {
	var set map[string]any
	if json.Unmarshal([]byte(text), &set) != nil || strings.ContainsAny(claim, `./\`) {
		return ""
	}
	value, _ := set[claim].(string)
	if strings.TrimSpace(value) != value || strings.ContainsAny(value, `%,"[{`) {
		return ""
	}
	return value
}

// Whatever a client sends, nothing is left under a managed name, in any spelling. Everything else stays as it was.
func FuzzStrip(f *testing.F) {
	f.Add("X-Consumer-ID", "admin", "close, X-Consumer-Id", "websocket", "X-Consumer-Groups")
	f.Add("x_consumer.username", "a", "x-consumer-username,,keep-alive", "h2c", "Digest")
	f.Add("X-Users", "", " X-User\t", "websocket, H2C/1", "x-user")
	f.Add("X-Users", "", "Upgrade", "TLS /1.0,\thttp/1.1", "x-user")
	f.Add("Http2-Settings", "AAMAAABk", "Upgrade, HTTP2-Settings", "h2c", "X_USER")
	f.Add("X-Consumer\u2010Id", "\r\n", "\"X-User\"", "", "")
	f.Add("Authorization", "Basic YTpi", "", "h2", "X-Anonymous-Consumer")
	f.Add("Authorization", "Bearer x", "close, Authorization,\tcookie", "", "Authorization")
	f.Add("X-Other", "keep-alive", "x-other, TE", "websocket", "cookie")
	key := tokentest.NewKey(f, "EdDSA", "k1")
	g := build(f, key, forward(f, "sub", "X-User"))
	f.Fuzz(func(t *testing.T, name, value, connection, upgrade, trailer string) {
		r := request("")
		r.ContentLength = -1
		r.Trailer = http.Header{trailer: {value}, "Digest": {"d"}}
		r.Header = http.Header{"Accept": {"a", "b"}, name: {value, value}}
		r.Header["Connection"] = []string{connection, value}
		r.Header["Upgrade"] = []string{upgrade}
		before := r.Header.Clone()
		g.Strip(r)

		tunnel := regexp.MustCompile(`(?i)(^|,)[ \t\r\n]*(h2c|h2|http|tls)[ \t\r\n]*(/|,|$)`).MatchString(upgrade)
		for field, values := range before {
			left, there := r.Header[field]
			switch {
			case isManaged(field, "X-User"), tunnel && (field == "Upgrade" || field == "Http2-Settings"):
				if there {
					t.Fatalf("%q is left", field)
				}
			case field == "Connection":
				if got, want := options(left), aboutConnection(options(values)); !slices.Equal(got, want) {
					t.Fatalf("Connection %q became %q, want %q", values, left, want)
				}
			case named(before, field):
				if there {
					t.Fatalf("%q is left, which Connection names", field)
				}
			case field == "Authorization":
				if there && slices.ContainsFunc(left, regexp.MustCompile(`(?i)^[ \t]*bearer([ \t]|$)`).MatchString) {
					t.Fatalf("left %q", left)
				}
			case !slices.Equal(left, values):
				t.Fatalf("%q: %q became %q", field, values, left)
			}
		}
		for field := range r.Header {
			if _, sent := before[field]; !sent {
				t.Fatalf("%q was not sent", field)
			}
		}
		_, left := r.Trailer[trailer]
		if left == isManaged(trailer, "X-User", "Authorization", "Cookie") || r.Trailer["Digest"] == nil {
			t.Fatalf("trailers %q", r.Trailer)
		}
	})
}

// options are the options of a Connection header (RFC 9110 section 7.6.1).
func options(fields []string) (list []string) {
	for _, field := range fields {
		for option := range strings.SplitSeq(field, ",") {
			if option = strings.Trim(option, " \t\r\n"); option != "" {
				list = append(list, option)
			}
		}
	}
	return list
}

// aboutConnection leaves the options that may stay. It compares them like a backend that cannot distinguish characters
// other than letters and digits.
func aboutConnection(list []string) []string {
	stays := regexp.MustCompile(`(?i)^(close|keep[^a-z0-9]alive|upgrade|http2[^a-z0-9]settings|te)$`)
	return slices.DeleteFunc(list, func(option string) bool { return !stays.MatchString(option) })
}

// named reports whether Connection makes a proxy remove the field. Fields that concern identity do not count.
func named(h http.Header, field string) bool {
	stays := regexp.MustCompile(`(?i)^(close|keep.alive|upgrade|http2.settings|te|authorization|cookie|connection)$`)
	if stays.MatchString(field) {
		return false
	}
	return slices.ContainsFunc(options(h["Connection"]), func(option string) bool {
		return textproto.CanonicalMIMEHeaderKey(option) == field
	})
}

// Only Authorization values with the one good token pass. All others get a well-formed answer.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		"Bearer {token}", "bearer   {token} ", "BEARER {token}", "{token}",
		"Bearer\t{token}", "Bearer {token},", "Bearer {token}=",
		"Bearer {header}.{payload}.", "Bearer {header}..{signature}",
		"Bearer {header}.{payload}.{signature}", "Bearer {header}.{header}.{signature}",
		"Bearer {token}.{token}", "Bearer {other}", "Bearer {expired}",
		"Basic {token}", "Basic x, Bearer {token}", "Bearer", "", "Bearer e30.e30.e30",
	} {
		f.Add(seed, "")
	}
	f.Add("Bearer {token}", "Bearer {token}")
	f.Add("Basic x", "Bearer {token}")
	key := tokentest.NewKey(f, "EdDSA", "k1")
	good := key.Sign(f, says(m{"scope": "read write"}))
	parts := strings.Split(good, ".")
	fill := strings.NewReplacer("{token}", good, "{header}", parts[0], "{payload}", parts[1], "{signature}", parts[2],
		"{other}", tokentest.NewKey(f, "EdDSA", "k2").WithKID("k1").Sign(f, says()),
		"{expired}", key.Sign(f, says(m{"exp": start.Unix() - 300})))
	legal := regexp.MustCompile(`\A[ \t]*[Bb][Ee][Aa][Rr][Ee][Rr] +` + regexp.QuoteMeta(good) + `[ \t]*\z`)
	scopes := func(c *gate.Config) { c.Require.Scopes = []string{"read", "write"} }
	g := build(f, key, scopes)
	cached := build(f, key, scopes, func(c *gate.Config) { c.Cache = newCache(f, 1<<20) })
	f.Fuzz(func(t *testing.T, first, second string) {
		first, second = fill.Replace(first), fill.Replace(second)
		r := request("")
		r.Header["Authorization"] = []string{first}
		if second != "" {
			r.Header["Authorization"] = []string{first, second}
		}
		verdict, err := g.Check(direct(r))
		for range 3 { // seen, stored, found
			again, err2 := cached.Check(direct(r))
			if again.Outcome != verdict.Outcome || (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
				t.Fatalf("%q: %v (%v), and with a cache %v (%v)", first, verdict.Outcome, err, again.Outcome, err2)
			}
		}
		if want := second == "" && legal.MatchString(first); want != (err == nil) ||
			want != (verdict.Outcome == gate.Accepted) {
			t.Fatalf("%q, %q: outcome %v, error %v", first, second, verdict.Outcome, err)
		}
		if err != nil {
			refusedProperly(t, g, err)
		}
	})
}

// challengeForm is a bearer challenge (RFC 9110 section 11.6.1) with values that RFC 6750 section 3 allows.
var challengeForm = regexp.MustCompile(`\ABearer realm="api"` +
	`(?:, error="(invalid_request|invalid_token|insufficient_scope)", error_description="[ !#-\[\]-~]+")?` +
	`(?:, scope="(?:[!#-\[\]-~]+(?: [!#-\[\]-~]+)*)")?\z`)

// refusedProperly requires a known reason whose answer is a client error with the challenge that belongs to it.
func refusedProperly(t *testing.T, g *gate.Gate, err error) {
	t.Helper()
	failure := gate.FailureOf(err)
	if !slices.Contains(gate.Reasons(), failure.Reason) {
		t.Fatalf("reason %q", failure.Reason)
	}
	answer := g.Answer(failure)
	form := challengeForm.FindStringSubmatch(challengeOf(answer))
	if form == nil {
		t.Fatalf("%v: challenge %q", failure.Reason, challengeOf(answer))
	}
	want := map[int]string{400: "invalid_request", 401: "invalid_token", 403: "insufficient_scope"}[answer.Status]
	if failure.Reason == gate.MissingToken {
		want = ""
	}
	if form[1] != want || answer.Status < 400 || answer.Status > 403 {
		t.Fatalf("%v: %d %q", failure.Reason, answer.Status, challengeOf(answer))
	}
}

// A token with a good signature is accepted only if an independent reader finds everything in it that it must have.
func FuzzSignedClaims(f *testing.F) {
	good := `{"iss":"` + issuerA + `","sub":"alice","aud":"` + api + `","exp":1795435500}`
	f.Add(`{"alg":"EdDSA","kid":"k1"}`, good)
	f.Add(`{"alg":"EdDSA","typ":"at+jwt","x":{"alg":"none"}}`, strings.Replace(good, `"`+api+`"`, `["x","`+api+`"]`, 1))
	f.Add(`{"alg":"EdDSA","alg":"none"}`, good)
	f.Add(`{"alg":"none"}`, good)
	f.Add(`{"Alg":"EdDSA","alg":"EdDSA","crit":["exp"]}`, good)
	f.Add(`{"alg":"EdDSA"}`, strings.Replace(good, "1795435500", "1.7954355e9", 1))
	f.Add(`{"alg":"EdDSA"}`, strings.Replace(good, "}", `,"nbf":1e400,"iat":-1,"cnf":{}}`, 1))
	f.Add(`{"alg":"EdDSA"}`, strings.Replace(good, "{", `{"Exp":0,"ISS":"x","iss":"`+issuerB+`",`, 1))
	key := tokentest.NewKey(f, "EdDSA", "k1")
	g := build(f, key)
	f.Fuzz(func(t *testing.T, header, payload string) {
		verdict, err := g.Check(direct(request(key.SignRaw(header, payload))))
		if err != nil {
			refusedProperly(t, g, err)
			return
		}
		var head, body map[string]any
		if err := json.Unmarshal([]byte(header), &head); err != nil || head["alg"] != "EdDSA" || head["crit"] != nil {
			t.Fatalf("accepted the header %q (%v)", header, err)
		}
		if err := json.Unmarshal([]byte(payload), &body); err != nil {
			t.Fatalf("accepted %q: %v", payload, err)
		}
		list, _ := body["aud"].([]any)
		if body["iss"] != issuerA || body["aud"] != api && !slices.Contains(list, any(api)) || body["cnf"] != nil {
			t.Fatalf("accepted %q", payload)
		}
		now, leeway := float64(start.Unix()), gate.DefaultLeeway.Seconds()
		number := func(name string, otherwise float64) float64 {
			if v, there := body[name]; there {
				n, ok := v.(float64)
				if !ok {
					t.Fatalf("accepted %s %v", name, v)
				}
				return n
			}
			return otherwise
		}
		if number("exp", 0)+leeway < now || number("nbf", now)-leeway > now || number("iat", now)-leeway > now {
			t.Fatalf("accepted at another time: %q", payload)
		}
		if sub, _ := body["sub"].(string); verdict.Identity.ID != sub {
			t.Fatalf("%q became %q", sub, verdict.Identity.ID)
		}
	})
}
