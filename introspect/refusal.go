package introspect

import (
	"io"
	"net/http"
	"regexp"
)

// Error codes that are about the token, whoever asks.
const (
	invalidToken         = "invalid_token"          // RFC 6750 section 3.1
	insufficientScope    = "insufficient_scope"     // RFC 6750 section 3.1
	unsupportedTokenType = "unsupported_token_type" // RFC 7009 section 2.2.1
)

// refusalOf gives the error code of an answer that refuses the token itself; empty for any other. Such an answer is a
// verdict: a stranger can have it with a token of his own making, and it must not look like trouble with the server.
//
// UserInfo is asked with the token as the credential, so every 401 is about it (RFC 6750 section 3.1), and so is a
// 403 or 400 that says so. A 403 that does not say so may be of a firewall. To an introspection endpoint the token is
// a parameter; its errors are about the request (RFC 6749 section 5.2), but for two codes.
func (c *Client) refusalOf(resp *http.Response, method AuthMethod) string {
	if c.cfg.Mode == UserInfo {
		switch resp.StatusCode {
		case http.StatusUnauthorized:
			return orDefault(challengeCode(resp.Header), invalidToken)
		case http.StatusForbidden, http.StatusBadRequest:
			return oneOf(orDefault(challengeCode(resp.Header), errorCode(resp)), invalidToken, insufficientScope)
		}
		return ""
	}
	if resp.StatusCode != http.StatusBadRequest {
		return ""
	}
	codes := []string{unsupportedTokenType}
	if method != Bearer { // or the invalid one would be our own
		codes = append(codes, invalidToken)
	}
	return oneOf(errorCode(resp), codes...)
}

// oneOf gives the code if it is in the list.
func oneOf(code string, list ...string) string {
	for _, known := range list {
		if code == known {
			return known
		}
	}
	return ""
}

// challenged finds the code of RFC 6750 section 3 in a challenge. Some servers leave out the scheme.
var challenged = regexp.MustCompile(`(?:^|[\s,])error\s*=\s*"?(` + invalidToken + `|` + insufficientScope + `)\b`)

func challengeCode(h http.Header) string {
	for _, field := range h.Values("WWW-Authenticate") {
		if found := challenged.FindStringSubmatch(field); found != nil {
			return oneOf(found[1], invalidToken, insufficientScope)
		}
	}
	return ""
}

// errorCode reads the member "error" of RFC 6749 section 5.2; empty when there is none that can be read.
func errorCode(resp *http.Response) string {
	if checkType(resp.Header, typeJSON) != nil {
		return ""
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRest+1))
	if err != nil || len(text) > maxRest {
		return ""
	}
	object, err := readObject(text)
	if err != nil {
		return ""
	}
	member, _ := object.Member("error")
	code, _ := member.Str()
	return code
}
