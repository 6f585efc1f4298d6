package integration

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// userInfoServer is a UserInfo endpoint that gives one answer to everything.
type userInfoServer struct {
	*httptest.Server
	says   atomic.Pointer[userInfoAnswer]
	accept atomic.Value // Accept of the last question
}

type userInfoAnswer struct {
	text  string
	types []string
}

func newUserInfoServer(t *testing.T) *userInfoServer {
	u := &userInfoServer{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.accept.Store(r.Header.Get("Accept"))
		answer := u.says.Load()
		w.Header()["Content-Type"] = answer.types
		_, _ = w.Write([]byte(answer.text))
	}))
	t.Cleanup(u.Close)
	return u
}

// asked is an issuer that is asked by UserInfo, with more words of "introspect".
func (u *userInfoServer) asked(as *tokentest.AS, lines ...string) string {
	return issuerBlock(as.URL, "audience any", "introspect opaque {\nverify userinfo\nendpoint "+u.URL+"\n"+
		strings.Join(lines, "\n")+"\n}")
}

// signedUser is a good answer, with changes.
func signedUser(as *tokentest.AS, changes ...any) map[string]any {
	return claims(append([]any{"iss", as.URL, "sub", "alice", "aud", "portal", "exp", nil, "iat", nil}, changes...)...)
}

var asJWT = []string{"application/jwt"}

// Answers of UserInfo must be signed (OpenID Connect Core 1.0 section 5.3.2). Somebody on the way, or the server
// itself, gives a plain one, one for somebody else, or another JWT of the same key (RFC 8725 section 3.12). The gate
// takes none of them.
func TestAttackSignedUserInfoIsForged(t *testing.T) {
	key, mallory := tokentest.NewKey(t, "ES256", "signed"), tokentest.NewKey(t, "ES256", "mallory").WithKID("signed")
	as, u := tokentest.NewAS(t, tokentest.WithKeys(key)), newUserInfoServer(t)
	now := time.Now().Unix()
	sign := func(by *tokentest.Key, typ any, changes ...any) userInfoAnswer {
		return userInfoAnswer{by.Sign(t, signedUser(as, changes...), map[string]any{"typ": typ}), asJWT}
	}
	good := sign(key, "JWT")
	plain := asJSON(t, signedUser(as))
	gate := gateFor(u.asked(as, "signed", "client_id portal"))
	s := prepare(t)
	for name, answer := range map[string]userInfoAnswer{
		"control: a good one": good,
		"control: no type":    sign(key, nil),
		"control: dates": sign(key, "JWT", "iat", now, "nbf", now, "exp", now+60, "aud",
			[]string{"other", "portal"}),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			u.says.Store(&answer)
			a.restart(gate)
			a.passed(a.send("opaque"))
		})
	}
	for name, answer := range map[string]userInfoAnswer{
		"plain":                        {plain, []string{"application/json"}},
		"plain, called signed":         {plain, asJWT},
		"signed, called plain":         {good.text, []string{"application/json"}},
		"signed, of no type":           {good.text, nil},
		"signed, of both types":        {good.text, []string{"application/jwt", "application/json"}},
		"signed, of both types in one": {good.text, []string{"application/jwt, application/json"}},
		"an introspection response":    {good.text, []string{"application/token-introspection+jwt"}},
		"in quotes":                    {`"` + good.text + `"`, asJWT},
		"in an object":                 {`{"jwt":"` + good.text + `"}`, asJWT},
		"two answers":                  {good.text + "\n" + good.text, asJWT},
		"five parts":                   {good.text + ".a.b", asJWT},
		"alg none":                     {key.SignRaw(`{"alg":"none","typ":"JWT"}`, plain), asJWT},
		"without a signature":          {good.text[:strings.LastIndexByte(good.text, '.')+1], asJWT},
		"one bit of the signature":     {tokentest.FlipSignature(t, good.text), asJWT},
		"another key":                  sign(mallory, "JWT"),
		"another issuer":               sign(key, "JWT", "iss", "https://other.example.com"),
		"no issuer":                    sign(key, "JWT", "iss", nil),
		"another client":               sign(key, "JWT", "aud", "other"),
		"no client":                    sign(key, "JWT", "aud", nil),
		"no user":                      sign(key, "JWT", "sub", nil),
		"an access token":              sign(key, "at+jwt", "exp", now+60),
		"an ID token":                  sign(key, "JWT", "exp", now+60, "iat", now, "nonce", "n"),
		"an old ID token":              sign(key, "JWT", "exp", now+60, "iat", now-600),
		"a logout token":               sign(key, "logout+jwt", "iat", now),
		"of the future":                sign(key, "JWT", "iat", now+600),
		"expired":                      sign(key, "JWT", "exp", now-600),
		"two subjects": {key.SignRaw(`{"alg":"ES256","kid":"signed"}`,
			plain[:len(plain)-1]+`,"sub":"bob"}`), asJWT},
		"an answer inside of an answer": sign(key, "JWT", "sub", nil, "token_introspection", signedUser(as)),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			u.says.Store(&answer)
			a.restart(gate)
			a.ourFault(a.send("opaque"), http.StatusBadGateway)
		})
	}
	s.attack(t, "a signed answer where plain ones are wanted", func(t *testing.T, a *attempt) {
		u.says.Store(&good)
		a.restart(gateFor(u.asked(as)))
		a.ourFault(a.send("opaque"), http.StatusBadGateway)
	})
	s.attack(t, "a signed answer as a token", func(t *testing.T, a *attempt) {
		a.restart(gateFor(issuerBlock(as.URL, "audience "+audience)))
		a.refusedFor(a.send(good.text), "missing_claim")
	})
}

// The backend learns the user from the answer, and nothing that the answer says about itself.
func TestSignedUserInfo(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "signed")
	as, u := tokentest.NewAS(t, tokentest.WithKeys(key)), newUserInfoServer(t)
	now := time.Now().Unix()
	u.says.Store(&userInfoAnswer{key.Sign(t, signedUser(as, "email", "alice@example.com", "iat", now, "exp", now+60,
		"jti", "a")), asJWT})
	s := start(t, gateFor(u.asked(as, "signed"), "forward_claims {\nX-Sub sub\nX-Email email\nX-Exp exp\nX-Iat iat\n"+
		"X-Jti jti\nX-Aud aud\n}"))
	header := s.passed(s.get("/", "opaque")).Header
	if header.Get("X-Sub") != "alice" || header.Get("X-Email") != "alice@example.com" {
		t.Errorf("header %v", header)
	}
	for _, name := range []string{"X-Exp", "X-Iat", "X-Jti", "X-Aud"} {
		if got := header.Get(name); got != "" {
			t.Errorf("%s %q is about the answer", name, got)
		}
	}
	if got := u.accept.Load(); got != "application/jwt" {
		t.Errorf("Accept %q", got)
	}
	s.load(gateFor(u.asked(as)))
	s.ourFaultFor(s.get("/", "another"), http.StatusBadGateway, "introspection_failed", false)
	if !s.logged("introspection_failed", "ask for signed answers") {
		t.Error("the log does not name the cure")
	}
}

// A client that has another audience than before is another client, which does not keep the old settings.
func TestSignedUserInfoFollowsTheClient(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "signed")
	as, u := tokentest.NewAS(t, tokentest.WithKeys(key)), newUserInfoServer(t)
	u.says.Store(&userInfoAnswer{key.Sign(t, signedUser(as)), asJWT})
	s := start(t, gateFor(u.asked(as, "signed", "client_id other")))
	s.ourFaultFor(s.get("/", "opaque"), http.StatusBadGateway, "introspection_failed", false)
	for _, words := range [][]string{{"signed", "client_id portal"}, {"signed"}} {
		s.load(gateFor(u.asked(as, words...)))
		s.accepts("opaque")
	}
}

// A JWT that is verified here is confirmed by a signed answer about the same user.
func TestSignedUserInfoConfirmsAToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "signed")
	as, u := tokentest.NewAS(t, tokentest.WithKeys(key)), newUserInfoServer(t)
	u.says.Store(&userInfoAnswer{key.Sign(t, signedUser(as)), asJWT})
	s := start(t, gateForAudience(issuerBlock(as.URL,
		"introspect always {\nverify userinfo\nsigned\nendpoint "+u.URL+"\n}")))
	s.accepts(key.Sign(t, issuedBy(as.URL, "sub", "alice")))
	s.refused(s.get("/", key.Sign(t, issuedBy(as.URL, "sub", "bob"))), http.StatusUnauthorized, "contradiction")
}
