package logout

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// The descriptions, one per class. They are a debugging aid for the server's operator (section 2.8). A stranger may be
// the one who reads them, so the rule that refused the request is for our own log only.
const (
	describeMethod      = "logout requests have the method POST"
	describeRequest     = "exactly one well-formed logout_token is needed, in a form of at most 64 KiB"
	describeToken       = "the logout token is expired, malformed, not for this client or otherwise invalid"
	describeUnavailable = "the keys of the issuer are not available at the moment, so the logout token cannot be " +
		"checked; try again"
	describeFailed = "the logout has failed on this side; try again"
)

// Answer writes the answer to a logout request (section 2.8). err is the error of Receive.
//
//	situation                          status  body
//	ended, repeated, ignored           200     none
//	not POST                           405     error="invalid_request"; Allow
//	not a good request, or token       400     error="invalid_request"
//	no verdict, or trouble of ours     400     error="temporarily_unavailable"
//
// Section 2.8 has one status for every failure, so trouble of ours has it, too. The code says that another attempt
// makes sense. Nothing of the request is repeated.
func Answer(w http.ResponseWriter, err error) {
	header := w.Header()
	bearer.DropTargetedCacheControl(header)
	header.Set("Cache-Control", "no-store")
	if err == nil {
		header.Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
		return
	}
	status, body := answerTo(err)
	if status == http.StatusMethodNotAllowed {
		header.Set("Allow", http.MethodPost) // RFC 9110 section 15.5.6
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails when the server has gone: nobody is left to be answered
}

// answerTo chooses the status and the body for an error. One that is not a Failure is a fault of ours.
func answerTo(err error) (status int, body []byte) {
	status, code, text := http.StatusBadRequest, "invalid_request", describeToken
	failure, ok := errors.AsType[*Failure](err)
	switch {
	case !ok:
		code, text = "temporarily_unavailable", describeFailed
	case failure.Reason == KeysUnavailable, failure.Reason == KeyPending, failure.Reason == ClientGone:
		code, text = "temporarily_unavailable", describeUnavailable
	case failure.Reason.OnOurSide():
		code, text = "temporarily_unavailable", describeFailed
	case failure.Reason == MethodNotAllowed:
		status, text = http.StatusMethodNotAllowed, describeMethod
	case failure.Reason == MalformedRequest, failure.Reason == BodyTooLarge:
		text = describeRequest
	}
	body, _ = json.Marshal(struct { // two constants: it cannot fail
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, text})
	return status, body
}
