package introspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

// claims is what this resource server looks at.
type claims struct {
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Scope    string `json:"scope"`
}

func decode(answer []byte) (any, error) {
	var c claims
	err := json.Unmarshal(answer, &c)
	return c, err
}

// A resource server lets a request in only if the server says that the token is active, the times agree, and the token
// is meant for it. Each kind of trouble has its own status.
func ExampleClient() {
	as := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.FormValue("token") != "2YotnFZFEjr1zCsicMWpAA" {
			fmt.Fprint(w, `{"active": false}`)
			return
		}
		fmt.Fprintf(w, `{"active": true, "exp": %d, "sub": "jdoe", "aud": "https://api.example.com", "scope": "read write"}`,
			time.Now().Add(time.Hour).Unix())
	}))
	defer as.Close()

	client, err := introspect.New(introspect.Config{
		Endpoint:     as.URL + "/introspect",
		ClientID:     "gateway",
		ClientSecret: "s3cret",
		Decode:       decode,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	for _, token := range []string{"2YotnFZFEjr1zCsicMWpAA", "mF_9.B5f-4.1JqM"} {
		fmt.Println(admit(context.Background(), client, token))
	}
	// Output:
	// 200 hello jdoe
	// 401 the token is not active
}

// admit decides about one request.
func admit(ctx context.Context, client *introspect.Client, token string) string {
	result, err := client.Introspect(ctx, token)
	var noVerdict *introspect.NoVerdictError
	switch {
	case errors.As(err, &noVerdict) && noVerdict.Cause.Temporary():
		return fmt.Sprintf("503 come again in %v", noVerdict.RetryAfter)
	case errors.Is(err, introspect.CauseTimeout):
		return "504 the authorization server is slow"
	case errors.As(err, &noVerdict):
		return "502 the authorization server is broken"
	case err != nil:
		return "400 that is no token"
	case !result.ActiveAt(time.Now(), 5*time.Second):
		return "401 the token is not active"
	}
	who := result.Value.(claims)
	switch {
	case who.Audience != "https://api.example.com":
		return "401 the token is for somebody else"
	case !slices.Contains(strings.Fields(who.Scope), "read"):
		return "403 the token does not allow that"
	}
	return "200 hello " + who.Subject
}
