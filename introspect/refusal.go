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

// refusalOf returns the error code of an answer that refuses the token itself; empty for any other answer. A refusal is
// a verdict: a stranger can provoke one with an invented token, and it must not look like trouble with the server.
//
// At UserInfo the token is the credential, so every 401 is about it (RFC 6750 section 3.1). A 403 or 400 is about it
// only when it says so, because a firewall may send them as well. At an introspection endpoint the token is a
// parameter, so errors are about the request (RFC 6749 section 5.2), except for two codes.
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
	if method != Bearer { // with it, the invalid token could be our own
		codes = append(codes, invalidToken)
	}
	return oneOf(errorCode(resp), codes...)
}

// oneOf returns the code if it is in the list, and otherwise an empty text.
func oneOf(code string, list ...string) string {
	for _, known := range list {
		if code == known {
			return known
		}
	}
	return ""
}

// challenged finds the error code in a challenge (RFC 6750 section 3). Some servers leave out the scheme.
var challenged = regexp.MustCompile(`(?:^|[\s,])error\s*=\s*"?(` + invalidToken + `|` + insufficientScope + `)\b`)

func challengeCode(h http.Header) string {
	for _, field := range h.Values("WWW-Authenticate") {
		if found := challenged.FindStringSubmatch(field); found != nil {
			return oneOf(found[1], invalidToken, insufficientScope)
		}
	}
	return ""
}

// errorCode reads the member "error" (RFC 6749 section 5.2). It is empty when there is no readable one.
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
