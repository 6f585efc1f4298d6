// Package problem makes the body of a refusal: the problem details of RFC 9457, in a form that the client accepts.
package problem

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// manual is where each type of problem is explained. A type is a promise: it must not change (RFC 9457 section 3.1.1).
const manual = "https://github.com/caddyjwt/gateway/blob/main/docs/errors.md#"

// blank is the type of a problem about which the status says it all (RFC 9457 section 4.2.1).
const blank = "about:blank"

// Details are the members of a problem (RFC 9457 section 3.1), and parameters of the challenge. They tell a client what
// the challenge tells it, and nothing else: a body that distinguished one bad token from another would be an oracle.
type Details struct {
	// Type is a URI that stands for the error code. It never stands for a reason.
	Type string `json:"type"`
	// Title is a text for people. It is always the same for a type.
	Title string `json:"title"`
	// Status is the HTTP status code.
	Status int `json:"status"`
	// Detail is the error description of the challenge, or what the gate says in its place.
	Detail string `json:"detail"`
	// Error is the error code of the challenge (RFC 6750 section 3.1). It is empty if the challenge has none.
	Error string `json:"error,omitempty"`
	// Scope is that of the challenge: the scopes that are needed, separated by single spaces.
	Scope string `json:"scope,omitempty"`
	// ResourceMetadata is that of the challenge: where the metadata of the resource is (RFC 9728 section 5.1).
	ResourceMetadata string `json:"resource_metadata,omitempty"`
	// ACRValues are those of the challenge (RFC 9470 section 3): the authentication context classes that are accepted,
	// separated by single spaces.
	ACRValues string `json:"acr_values,omitempty"`
	// MaxAge is that of the challenge (RFC 9470 section 3): how many seconds ago the user may have signed in.
	MaxAge int64 `json:"max_age,omitempty"`
}

// CheckFormat refuses a format of refusals that does not exist. An empty one means no body.
func CheckFormat(format string) error {
	if format == "" || format == "problem" {
		return nil
	}
	return fmt.Errorf("unknown error_format %q: the only one is problem; leave it out for no body, or to write one in "+
		"handle_errors", format)
}

// titles of the types, by error code. No code means that no token came.
var titles = map[string]string{
	"":                   "Access token needed",
	"invalid_request":    "Malformed request",
	"invalid_token":      "Invalid access token",
	"insufficient_scope": "Insufficient rights",

	"insufficient_user_authentication": "Another sign-in needed",

	"invalid_dpop_proof": "Fresh DPoP proof needed",
	"use_dpop_nonce":     "DPoP nonce needed",
}

// Of describes a refusal with this status and with what its challenge says. Code and scope may be empty.
func Of(status int, code, description, scope string) Details {
	d := Details{Type: manual + code, Title: titles[code], Status: status, Detail: description, Error: code, Scope: scope}
	switch {
	case code == "" && status == http.StatusUnauthorized:
		d.Type = manual + "token_needed"
	case code == "":
		d.Type, d.Title = blank, http.StatusText(status)
	case d.Title == "": // another document's code
		d.Title = http.StatusText(status)
	}
	return d
}

// Body writes the problem in the form that the client accepts best. accept has the lines of its Accept field.
func (d Details) Body(accept []string) (contentType string, body []byte) {
	form := preferred(accept)
	if form.text {
		return form.contentType, []byte(d.Detail + "\n")
	}
	body, err := json.Marshal(d)
	if err != nil { // cannot happen: these are texts and a number
		return form.contentType, nil
	}
	return form.contentType, append(body, '\n')
}
