package gate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// TestReasonsAreListed reads the source, so that each new Reason must be documented and tested.
func TestReasonsAreListed(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []gate.Reason
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Reason" {
				text, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				declared = append(declared, gate.Reason(text))
			}
		}
		return true
	})
	if !slices.Equal(declared, gate.Reasons()) {
		t.Errorf("declared %q, listed %q", declared, gate.Reasons())
	}
	snake := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for i, reason := range declared {
		if !snake.MatchString(string(reason)) || slices.Contains(declared[:i], reason) {
			t.Errorf("%q is not in snake_case or not unique", reason)
		}
	}
}

// The challenges are written out in full, since clients depend on them.
const (
	noToken        = `Bearer realm="api", scope="read write"`
	invalidRequest = `Bearer realm="api", error="invalid_request", ` +
		`error_description="exactly one well-formed access token is needed"`
	invalidMessage = `Bearer realm="api", error="invalid_request", ` +
		`error_description="exactly one well-formed MCP message is needed"`
	invalidToken = `Bearer realm="api", error="invalid_token", ` +
		`error_description="the access token is expired, revoked, malformed or otherwise invalid"`
	invalidProof = `Bearer realm="api", error="invalid_dpop_proof", ` +
		`error_description="a fresh DPoP proof for this request and this access token is needed"`
	useNonce = `Bearer realm="api", error="use_dpop_nonce", ` +
		`error_description="the DPoP proof needs the nonce of this response"`
	stepUp = `Bearer realm="api", error="insufficient_user_authentication", ` +
		`error_description="the user must sign in again, or in a stronger way", acr_values="gold silver", max_age="300"`
	insufficientScope = `Bearer realm="api", error="insufficient_scope", ` +
		`error_description="the access token does not give the rights that this resource requires", scope="read write"`
)

func TestAnswerToEveryReason(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, func(c *gate.Config) {
		c.Require = gate.Requirements{
			Scopes: []string{"read", "write"}, ACR: []string{"gold", "silver"}, MaxAuthAge: 5 * time.Minute,
		}
	})
	type answer struct {
		status    int
		challenge string
		retry     string
	}
	want := map[gate.Reason]answer{
		gate.MissingToken:                   {401, noToken, ""},
		gate.MalformedRequest:               {400, invalidRequest, ""},
		gate.MalformedMessage:               {400, invalidMessage, ""},
		gate.ToolDenied:                     {403, `Bearer realm="api"`, ""},
		gate.BodyTooLarge:                   {413, invalidRequest, ""},
		gate.CrossOrigin:                    {403, "", ""},
		gate.PlainHTTP:                      {403, "", ""},
		gate.InvalidProof:                   {401, invalidProof, ""},
		gate.ProofReplayed:                  {401, invalidProof, ""},
		gate.NonceRequired:                  {401, useNonce, ""},
		gate.TooManyProofs:                  {429, "", "8"},
		gate.ProofsUnavailable:              {503, "", "8"},
		gate.InsufficientUserAuthentication: {401, stepUp, ""},
		gate.InsufficientScope:              {403, insufficientScope, ""},
		gate.ClaimMismatch:                  {403, insufficientScope, ""},
		gate.UnknownConsumer:                {403, insufficientScope, ""},
		gate.Overloaded:                     {503, "", "8"},
		gate.KeyPending:                     {503, "", "8"},
		gate.KeysUnavailable:                {503, "", "8"},
		gate.RevocationsUnavailable:         {503, "", "8"},
		gate.IntrospectionUnavailable:       {503, "", "8"},
		gate.IntrospectionFailed:            {502, "", ""},
		gate.IntrospectionTimeout:           {504, "", ""},
		gate.ClientGone:                     {499, "", ""},
		gate.InternalError:                  {500, "", ""},
	}
	for _, reason := range []gate.Reason{
		gate.MalformedToken, gate.DecryptionFailed, gate.NotEncrypted, gate.UnsupportedAlgorithm, gate.InvalidType,
		gate.UnknownIssuer, gate.UnknownKey,
		gate.InvalidSignature, gate.Expired, gate.NotYetValid, gate.LifetimeTooLong, gate.InvalidIssuer,
		gate.InvalidAudience,
		gate.MissingClaim, gate.ProofRequired, gate.OtherKey, gate.Revoked, gate.Inactive, gate.Contradiction,
		gate.UnsafeClaim,
	} {
		want[reason] = answer{401, invalidToken, ""}
	}
	for _, reason := range gate.Reasons() {
		t.Run(string(reason), func(t *testing.T) {
			w, ok := want[reason]
			if !ok {
				t.Fatal("no row in this table")
			}
			got := g.Answer(&gate.Failure{Reason: reason, RetryAfter: 7*time.Second + 1, Issuer: "x", KeyID: `k"1`,
				Token: "t"})
			h := http.Header{"Cache-Control": {"public"}, "Cdn-Cache-Control": {"public"}}
			got.WriteTo(h)
			if code := errorIn(w.challenge); got.Code != code {
				t.Errorf("code %q, want %q, as in the challenge", got.Code, code)
			}
			if stepsUp := w.challenge == stepUp; stepsUp != (got.ACRValues == "gold silver") ||
				stepsUp != (got.MaxAge == 5*time.Minute) {
				t.Errorf("classes %q and age %v beside the challenge %s", got.ACRValues, got.MaxAge, w.challenge)
			}
			if strings.Contains(w.challenge, `scope="read write"`) != (got.Scope == "read write") {
				t.Errorf("scope %q beside the challenge %s", got.Scope, w.challenge)
			}
			if got.Status != w.status || h.Get("Cache-Control") != "no-store" || h.Get("WWW-Authenticate") != w.challenge ||
				h.Get("Retry-After") != w.retry || h.Get("CDN-Cache-Control") != "" {
				t.Errorf("status %d, headers %v; want %+v", got.Status, h, w)
			}
		})
	}
	if got := g.Answer(&gate.Failure{Reason: "nobody_knows"}); got.Status != 401 || challengeOf(got) != invalidToken {
		t.Errorf("an unknown reason gives %+v, want a refusal", got)
	}
}

// challengeOf is the one challenge of an answer; empty when it has none.
func challengeOf(a gate.Answer) string {
	return strings.Join(a.Header["Www-Authenticate"], " and another: ")
}

// errorIn is the error code of a challenge. It is empty if the challenge has none.
func errorIn(challenge string) string {
	_, rest, _ := strings.Cut(challenge, ` error="`)
	code, _, _ := strings.Cut(rest, `"`)
	return code
}

// All requests share an answer. A handler that changes its copy must not change that of another request.
func TestAnswersAreNotChangedByTheirUsers(t *testing.T) {
	g := build(t, tokentest.NewKey(t, "ES256", "k1"))
	for _, reason := range gate.Reasons() {
		answer := g.Answer(&gate.Failure{Reason: reason})
		first, second := make(http.Header), make(http.Header)
		answer.WriteTo(first)
		want := first.Clone()
		for name := range first {
			first[name][0] = "changed"
			first[name] = append(first[name], "more")
		}
		g.Answer(&gate.Failure{Reason: reason}).WriteTo(second)
		if !maps.EqualFunc(want, second, slices.Equal) {
			t.Errorf("%s: %v became %v", reason, want, second)
		}
	}
}

func TestAnswerWithSeveralChallenges(t *testing.T) {
	h := http.Header{"Www-Authenticate": {"Basic"}}
	gate.Answer{Header: http.Header{"Www-Authenticate": {"Bearer", "DPoP"}, "Dpop-Nonce": {"n"}}}.WriteTo(h)
	if !slices.Equal(h["Www-Authenticate"], []string{"Bearer", "DPoP"}) || h.Get("DPoP-Nonce") != "n" {
		t.Errorf("headers %v", h)
	}
}

func TestRetryAfterIsNeverAtOnce(t *testing.T) {
	g := build(t, tokentest.NewKey(t, "ES256", "k1"))
	for d, want := range map[time.Duration]string{
		-time.Hour: "1", 0: "1", 1: "1", time.Second: "1", time.Second + 1: "2", 5 * time.Minute: "300",
	} {
		answer := g.Answer(&gate.Failure{Reason: gate.KeysUnavailable, RetryAfter: d})
		if got := answer.Header.Get("Retry-After"); got != want {
			t.Errorf("Retry-After for %v is %q, want %q", d, got, want)
		}
	}
}

// An answer never repeats what the client has sent. The cause does, but only in quotes that the client cannot end.
func TestAnswerRepeatsNothingOfTheClient(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, func(c *gate.Config) { c.Realm = `say "hi" \` })
	const mark = `EVIL", error="x`
	for name, token := range map[string]string{
		"key id":    key.WithKID(mark).Sign(t, says()),
		"algorithm": key.SignRaw(`{"alg":"EVIL"}`, `{}`),
		"type":      key.Sign(t, says(), m{"typ": mark}),
		"issuer":    key.Sign(t, says(m{"iss": mark})),
		"audience":  key.Sign(t, says(m{"aud": mark})),
		"claims":    key.SignRaw(`{"alg":"ES256"}`, `{"EVIL":1,"EVIL":2}`),
		"date":      key.Sign(t, says(m{"exp": mark})),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := g.Check(direct(request(token)))
			f := gate.FailureOf(err)
			answer := g.Answer(f)
			if !strings.HasPrefix(challengeOf(answer), `Bearer realm="say \"hi\" \\", error="invalid_token"`) ||
				answer.Status != 401 {
				t.Errorf("answer %+v", answer)
			}
			if text := challengeOf(answer) + f.Error(); strings.Contains(text, "EVIL") {
				t.Errorf("client's text in %s", text)
			}
			if f.Cause != nil && strings.Contains(f.Cause.Error(), mark) {
				t.Errorf("client's text without quotes in the cause: %v", f.Cause)
			}
		})
	}
}

// Operators must not be alarmed by what strangers can cause at will.
func TestTroubleIsWhatOperatorsCanMend(t *testing.T) {
	for _, reason := range gate.Reasons() {
		status := new(gate.Gate).Answer(&gate.Failure{Reason: reason}).Status
		if want := status >= 500 && reason != gate.KeyPending; reason.IsTrouble() != want {
			t.Errorf("%s with status %d: trouble %v", reason, status, !want)
		}
	}
}

// Every refusal has a text for error pages: that of the challenge if it has one, and otherwise one for the class of the
// status. Reasons that a client must not distinguish have the same text. The text is never the reason.
func TestAnswerHasATextForErrorPages(t *testing.T) {
	texts := make(map[string]string) // by status and challenge
	for _, reason := range gate.Reasons() {
		answer := new(gate.Gate).Answer(&gate.Failure{Reason: reason})
		class := strconv.Itoa(answer.Status/100) + challengeOf(answer)
		switch answer.Status {
		case http.StatusServiceUnavailable, http.StatusTooManyRequests:
			class = strconv.Itoa(answer.Status) + challengeOf(answer)
		case http.StatusForbidden: // each has a cure of its own
			class = strconv.Itoa(answer.Status) + challengeOf(answer)
			if challengeOf(answer) == "" {
				class += string(reason)
			}
		}
		if known, ok := texts[class]; ok && known != answer.Text {
			t.Errorf("%s: %q, while others of this class have %q", reason, answer.Text, known)
		}
		texts[class] = answer.Text
		if answer.Text == "" || strings.Contains(answer.Text, "_") {
			t.Errorf("%s: the text is %q", reason, answer.Text)
		}
		if _, after, ok := strings.Cut(challengeOf(answer), `error_description="`); ok &&
			strings.TrimSuffix(after, `"`) != answer.Text {
			t.Errorf("%s: the text is %q, the challenge %s", reason, answer.Text, challengeOf(answer))
		}
	}
	// Seven codes, one also for messages, no token, another origin, no TLS, no tool, too many, try again, and the rest.
	if len(texts) != 15 {
		t.Errorf("%d texts: %q", len(texts), texts)
	}
}
