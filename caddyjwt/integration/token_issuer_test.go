package integration

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// A user signs in, calls the backend, refreshes, and logs out. Each step ends what was before it.
func TestASessionFromSignInToLogout(t *testing.T) {
	b := openBooth(t)
	first := b.login()
	if first.Sub != "alice" {
		t.Errorf("sub %q", first.Sub)
	}
	b.works(first.Access)
	second := b.refresh(first)
	if sidOf(t, second.Access) != sidOf(t, first.Access) || second.Refresh == first.Refresh {
		t.Errorf("%+v after %+v", second, first)
	}
	b.isOut(first.Access, "revoked")
	b.works(second.Access)
	if status := b.end("logout", first.Access); status != http.StatusUnauthorized {
		t.Errorf("logout with the old access token: status %d", status)
	}
	b.works(second.Access)
	if a := b.post(orders+"logout", "", "", "Authorization", "Bearer "+second.Access); a.StatusCode !=
		http.StatusNoContent || a.body != "" {
		t.Errorf("logout: status %d, %q", a.StatusCode, a.body)
	}
	b.isOut(second.Access, "revoked")
	b.spent(second.Refresh)
	b.failed(b.post(orders+"logout", "", "", "Authorization", "Bearer "+second.Access), http.StatusUnauthorized,
		"invalid_token")
	b.works(b.login().Access)
}

// An old refresh token that comes again ends the session, and the log says so. Other sessions of the user go on.
func TestAnOldRefreshTokenEndsItsSession(t *testing.T) {
	b := openBooth(t)
	first, other := b.login(), b.login()
	second := b.refresh(first)
	b.spent(first.Refresh)
	b.isOut(second.Access, "revoked")
	b.spent(second.Refresh)
	eventually(t, "the log names the session", func() bool {
		return b.logged("a refresh token came for the second time", sidOf(t, first.Access), `"level":"warn"`)
	})
	b.works(other.Access)
	b.refresh(other)
}

// To revoke a pair ends it for good, at once.
func TestARevokedPairIsOut(t *testing.T) {
	b := openBooth(t)
	first, other := b.login(), b.login()
	if status := b.end("revoke", first.Access); status != http.StatusNoContent {
		t.Errorf("status %d", status)
	}
	b.isOut(first.Access, "revoked")
	b.spent(first.Refresh)
	b.works(other.Access)
}

// Clients sign in by JSON or by Basic, and refresh by JSON or a form.
func TestTheWaysToSignInAndToRefresh(t *testing.T) {
	b := openBooth(t)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+password))
	first := b.pairIn(b.post(orders+"login", "", "", "Authorization", basic))
	second := b.pairIn(b.post(orders+"refresh", asForm, "grant_type=refresh_token&refresh_token="+first.Refresh))
	third := b.pairIn(b.post(orders+"refresh", "application/json; charset=UTF-8", `{
		"refresh_token": "`+second.Refresh+`",
		"grant_type": "refresh_token"
	}`))
	b.works(third.Access)
	with := b.pairIn(b.post(orders+"login", asJSONBody, signsIn(), "Authorization", "Bearer "+first.Access))
	b.works(with.Access) // pages add the token that they have
	a := b.post(orders+"login", "", "", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("alice:wrong")))
	b.failed(a, http.StatusUnauthorized, "invalid_grant")
	if challenge := a.Header.Get("WWW-Authenticate"); challenge != `Basic realm="/api/orders/", charset="UTF-8"` {
		t.Errorf("challenge %q", challenge)
	}
	a = b.post(orders+"login", asJSONBody, signsIn("alice", "wrong"))
	b.failed(a, http.StatusUnauthorized, "invalid_grant")
	if challenge := a.Header.Get("WWW-Authenticate"); challenge != `Bearer realm="/api/orders/"` {
		t.Errorf("challenge %q: a browser would ask the user", challenge)
	}
}

// The claims come in a fixed order, with the types that clients of IRIS expect, and the dates agree with the answer.
func TestTheClaimsOfAnAccessToken(t *testing.T) {
	b := openBooth(t, "access_lifetime 90s")
	p := b.login()
	header, payload := claimsOf(t, p.Access)
	if !regexp.MustCompile(`^\{"alg":"ES256","kid":"[\w-]{43}","typ":"at\+jwt"\}$`).MatchString(header) {
		t.Errorf("header %s", header)
	}
	want := fmt.Sprintf(`{"iat":%s,"exp":%d,"iss":"%s","sub":"alice","sid":"%s","app":"%s","jti":"`, p.Issued, p.Expires,
		ownIssuer, sidOf(t, p.Access), orders)
	if rest, ok := strings.CutPrefix(payload, want); !ok ||
		!regexp.MustCompile(`^\w{26}","aud":"`+audience+`","client_id":"`+orders+`"\}$`).MatchString(rest) {
		t.Errorf("payload %s, want %s…", payload, want)
	}
	var issued int64
	if _, err := fmt.Sscanf(p.Issued.String(), "%d.", &issued); err != nil || p.Expires != issued+90 {
		t.Errorf("iat %s, exp %d", p.Issued, p.Expires)
	}
}

// With "compat iris" and a header of its own, a token looks as IRIS makes them. With "compat oauth" the answer has what
// RFC 6749 section 5.1 requires. Several audiences are an array.
func TestCompatibleTokensAndAnswers(t *testing.T) {
	b := newBooth(t)
	b.runs(issuingFor(ownIssuer, "user alice "+hashOf(t, password),
		appOf("/api/ttrg/", "compat iris", "header co intersystems"),
		"app "+orders+" {", "audience "+audience+" two", "compat oauth", "access_lifetime 30s", "}"), localGate())
	iris := b.loginAt("/api/ttrg/", signsIn())
	header, _ := claimsOf(t, iris.Access)
	if !strings.Contains(header, `"typ":"JWT"`) || !strings.Contains(header, `"co":"intersystems"`) {
		t.Errorf("header %s", header)
	}
	b.passed(b.get("/api/ttrg/x", iris.Access))
	a := b.post(orders+"login", asJSONBody, signsIn())
	oauth := b.pairIn(a)
	if !strings.HasSuffix(a.body, `,"token_type":"Bearer","expires_in":30}`) {
		t.Errorf("answer %s", a.body)
	}
	if _, payload := claimsOf(t, oauth.Access); !strings.Contains(payload, `"aud":["`+audience+`","two"]`) {
		t.Errorf("payload %s", payload)
	}
	if strings.Contains(b.post("/api/ttrg/login", asJSONBody, signsIn()).body, "token_type") {
		t.Error("iris answers as oauth")
	}
}

// The addresses have other names, and the usual ones are then the backend's.
func TestOtherNamesOfTheAddresses(t *testing.T) {
	b := openBooth(t, "endpoints {", "login mylogin", "refresh myrefresh", "logout mylogout", "revoke myrevoke", "}")
	p := b.pairIn(b.post(orders+"mylogin", asJSONBody, signsIn()))
	p = b.pairIn(b.post(orders+"myrefresh", asJSONBody, refreshes(p.Refresh)))
	b.refused(b.post(orders+"login", asJSONBody, signsIn()), http.StatusUnauthorized, "missing_token")
	b.passed(b.post(orders+"login", asJSONBody, "{}", "Authorization", "Bearer "+p.Access))
	other := b.pairIn(b.post(orders+"mylogin", asJSONBody, signsIn()))
	for address, p := range map[string]grant{"mylogout": p, "myrevoke": other} {
		if status := b.end(address, p.Access); status != http.StatusNoContent {
			t.Errorf("%s: status %d", address, status)
		}
		b.isOut(p.Access, "revoked")
	}
	eventually(t, "the log lists the addresses", func() bool {
		return b.logged("token issuer has started", "POST "+orders+"mylogin", "POST "+orders+"myrevoke")
	})
}

// Each algorithm gives tokens that the gate takes, and a change of it leaves older tokens good.
func TestTheAlgorithmsOfTheSignatures(t *testing.T) {
	b := newBooth(t)
	user := "user alice " + hashOf(t, password)
	var before []string
	for _, algorithm := range []string{"ES256", "EdDSA", "PS256", "RS256"} {
		b.runs(issuingFor(ownIssuer, user, appOf(orders), "algorithm "+algorithm), localGate())
		p := b.login()
		if header, _ := claimsOf(t, p.Access); !strings.Contains(header, `"alg":"`+algorithm+`"`) {
			t.Errorf("header %s", header)
		}
		before = append(before, p.Access)
		for _, access := range before {
			b.works(access)
		}
	}
}

// What a route requires, it requires of these tokens, too, and matchers see who calls.
func TestRequirementsOfTokensOfThisCaddy(t *testing.T) {
	b := newBooth(t)
	users := []string{"user alice " + hashOf(t, password), "user bob " + hashOf(t, "bobs")}
	b.runs(issuingFor(ownIssuer, append(users, appOf(orders))...), localGate("require claim sub bob"),
		"@bob bearer claim sub bob", "respond @bob \"it is bob\"")
	alice, bob := b.login(), b.loginAt(orders, signsIn("bob", "bobs"))
	b.refused(b.get(orders+"7", alice.Access), http.StatusForbidden, "claim_mismatch")
	if a := b.get(orders+"7", bob.Access); a.body != "it is bob" {
		t.Errorf("status %d, %s", a.StatusCode, a.body)
	}
}

// A request of a gate's public path needs no token, and the addresses of the issuer still need what they need.
func TestAddressesBelowAPublicPath(t *testing.T) {
	b := newBooth(t)
	b.runs(b.issuerOf(), localGate("public "+orders+"*"))
	b.passed(b.get(orders+"7", ""))
	p := b.login()
	b.failed(b.post(orders+"logout", "", ""), http.StatusUnauthorized, "missing_token")
	b.failed(b.post(orders+"login", asJSONBody, signsIn("alice", "wrong")), http.StatusUnauthorized, "invalid_grant")
	b.refresh(p)
	b.spent(p.Refresh)
}
