package problem_test

import (
	"testing"

	"github.com/caddyjwt/gateway/internal/problem"
)

// The bodies are written out in full, since clients depend on them.
func TestBodyOfEachProblem(t *testing.T) {
	const manual = "https://github.com/caddyjwt/gateway/blob/main/docs/errors.md#"
	stepUp := problem.Of(401, "insufficient_user_authentication", "sign in", "pay")
	stepUp.ACRValues, stepUp.MaxAge = "gold silver", 300
	for name, c := range map[string]struct {
		details problem.Details
		want    string
	}{
		"no token": {problem.Of(401, "", "an access token is needed", "read write"),
			`{"type":"` + manual + `token_needed","title":"Access token needed","status":401,` +
				`"detail":"an access token is needed","scope":"read write"}`},
		"a bad request": {problem.Of(400, "invalid_request", "one token", ""),
			`{"type":"` + manual + `invalid_request","title":"Malformed request","status":400,"detail":"one token",` +
				`"error":"invalid_request"}`},
		"a long form": {problem.Of(413, "invalid_request", "one token", ""),
			`{"type":"` + manual + `invalid_request","title":"Malformed request","status":413,"detail":"one token",` +
				`"error":"invalid_request"}`},
		"a bad token": {problem.Of(401, "invalid_token", "expired or so", ""),
			`{"type":"` + manual + `invalid_token","title":"Invalid access token","status":401,"detail":"expired or so",` +
				`"error":"invalid_token"}`},
		"too few rights": {problem.Of(403, "insufficient_scope", "not enough", "read"),
			`{"type":"` + manual + `insufficient_scope","title":"Insufficient rights","status":403,"detail":"not enough",` +
				`"error":"insufficient_scope","scope":"read"}`},
		"a sign-in that does not do": {stepUp, `{"type":"` + manual + `insufficient_user_authentication",` +
			`"title":"Another sign-in needed","status":401,"detail":"sign in","error":"insufficient_user_authentication",` +
			`"scope":"pay","acr_values":"gold silver","max_age":300}`},
		"a code of another document": {problem.Of(401, "interaction_required", "again", ""),
			`{"type":"` + manual + `interaction_required","title":"Unauthorized","status":401,"detail":"again",` +
				`"error":"interaction_required"}`},
		"a nonce": {problem.Of(401, "use_dpop_nonce", "again", ""),
			`{"type":"` + manual + `use_dpop_nonce","title":"DPoP nonce needed","status":401,"detail":"again",` +
				`"error":"use_dpop_nonce"}`},
		"later": {problem.Of(503, "", "try again", ""),
			`{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"try again"}`},
		"a fault": {problem.Of(500, "", "could not", ""),
			`{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"could not"}`},
		"signs that mean something in HTML": {problem.Of(403, "insufficient_scope", "not enough", "a<b&c>"),
			`{"type":"` + manual + `insufficient_scope","title":"Insufficient rights","status":403,"detail":"not enough",` +
				`"error":"insufficient_scope","scope":"a\u003cb\u0026c\u003e"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := c.details.Body(nil); string(got) != c.want+"\n" {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if _, got := c.details.Body([]string{"text/plain"}); string(got) != c.details.Detail+"\n" {
				t.Errorf("as text: %q", got)
			}
		})
	}
}

func TestFormatsOfRefusals(t *testing.T) {
	for format, good := range map[string]bool{"": true, "problem": true, "html": false, "Problem": false} {
		if err := problem.CheckFormat(format); (err == nil) != good {
			t.Errorf("%q: %v", format, err)
		}
	}
}
