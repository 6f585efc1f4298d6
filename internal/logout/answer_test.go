package logout_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/caddyjwt/gateway/internal/logout"
)

// Section 2.8: 200 without a body, or 400 with an error as JSON. No cache keeps either.
func TestAnswers(t *testing.T) {
	for _, reason := range logout.Reasons() {
		err := &logout.Failure{Reason: reason, Cause: errors.New("a secret cause")}
		w := httptest.NewRecorder()
		logout.Answer(w, err)
		var body map[string]string
		if json.Unmarshal(w.Body.Bytes(), &body) != nil || len(body) != 2 || body["error_description"] == "" {
			t.Errorf("%s: body %s", reason, w.Body)
		}
		code, status := "invalid_request", 400
		if reason.OnOurSide() || reason == logout.KeyPending || reason == logout.ClientGone {
			code = "temporarily_unavailable"
		}
		if reason == logout.MethodNotAllowed {
			status = 405
		}
		if body["error"] != code || w.Code != status || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, header %v, body %s", reason, w.Code, w.Header(), w.Body)
		}
		if want := "logout: " + string(reason) + ": a secret cause"; err.Error() != want || !errors.Is(err, reason) {
			t.Errorf("the error is %q, want %q", err, want)
		}
	}
	w := httptest.NewRecorder()
	logout.Answer(w, nil)
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("success: status %d, header %v, body %s", w.Code, w.Header(), w.Body)
	}
	w = httptest.NewRecorder()
	logout.Answer(w, errors.New("not a Failure"))
	if w.Code != 400 || w.Body.String() != `{"error":"temporarily_unavailable",`+
		`"error_description":"the logout has failed on this side; try again"}` {
		t.Errorf("another error: status %d, body %s", w.Code, w.Body)
	}
}

// Fields of handlers before do not make a cache keep the answer.
func TestAnswersReplaceFieldsOfOthers(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("CDN-Cache-Control", "max-age=60")
	logout.Answer(w, nil)
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("CDN-Cache-Control") != "" {
		t.Errorf("the header is %v", w.Header())
	}
}

// Operators are told about what is theirs to mend.
func TestWhoseFaultItIs(t *testing.T) {
	ours := map[logout.Reason]bool{
		logout.Overloaded: true, logout.KeysUnavailable: true, logout.StoreFailed: true, logout.RevocationFailed: true,
	}
	seen := make(map[logout.Reason]bool)
	for _, reason := range logout.Reasons() {
		if seen[reason] || reason.Error() != string(reason) {
			t.Errorf("%s is there twice, or its text is %q", reason, reason.Error())
		}
		if seen[reason] = true; reason.OnOurSide() != ours[reason] {
			t.Errorf("%s: on our side: %v", reason, reason.OnOurSide())
		}
	}
}
