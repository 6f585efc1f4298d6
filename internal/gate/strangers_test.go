package gate_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

// roundTrip is a server without sockets, which a synctest bubble needs.
type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	if response := f(r); response != nil {
		return response, nil
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// strangersRun sends twelve invented tokens at once, and one more every second, for twenty seconds. Twice a second it
// also sends a good token that is new, and one that is in use. The server is asked about the latter whenever ttl is
// over. About invented tokens the server answers with this status and no verdict; for status 0 it does not answer. The
// results are how many of the good tokens passed, and how many of each were sent.
func strangersRun(t *testing.T, status int, header http.Header, ttl time.Duration) (fresh, known, sent int) {
	key := tokentest.NewKey(t, "ES256", "k1")
	synctest.Test(t, func(t *testing.T) {
		server := roundTrip(func(r *http.Request) *http.Response {
			body, _ := io.ReadAll(r.Body)
			response := &http.Response{StatusCode: status, Header: header.Clone(), Body: http.NoBody, Request: r}
			switch {
			case strings.Contains(string(body), "token=good"):
				text := fmt.Sprintf(`{"active":true,"sub":"alice","aud":%q}`, api)
				response.StatusCode, response.Body = 200, io.NopCloser(strings.NewReader(text))
				response.Header = http.Header{"Content-Type": {"application/json"}}
			case status == 0:
				return nil
			}
			return response
		})
		client, err := introspect.New(introspect.Config{
			Endpoint: "https://as.example/introspect", ClientID: "gateway", ClientSecret: "s3cret",
			Decode: gate.DecodeAnswer(issuerA, nil), HTTPClient: &http.Client{Transport: server}, CacheTTL: ttl,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		g := build(t, key, keyless, func(c *gate.Config) {
			c.Issuers[0].Asking = &gate.Asking{Mode: gate.AskOpaque, Client: client}
			c.Now = time.Now
		})
		passes := func(token string) int {
			if _, err := g.Check(direct(request(token))); err != nil {
				return 0
			}
			return 1
		}
		invented := 0
		strangers := func(n int) {
			for range n {
				invented++
				go passes(fmt.Sprint("invented-", invented))
			}
			synctest.Wait()
		}
		passes("good-known")
		strangers(12)
		for i := range 39 {
			time.Sleep(500 * time.Millisecond)
			if i%2 == 1 {
				strangers(1)
			}
			sent++
			fresh += passes(fmt.Sprint("good-", i))
			known += passes("good-known")
		}
		time.Sleep(time.Minute) // for the last questions to end
	})
	return fresh, known, sent
}

// Some servers answer 401, 429 or 500 about tokens that they do not know. Strangers who invent tokens must not be able
// to shut out good tokens that way.
func TestStrangersDoNotShutOutGoodTokens(t *testing.T) {
	for _, c := range []struct {
		status int
		header http.Header
	}{
		{400, nil}, {401, nil}, {403, nil}, {404, nil}, {429, nil}, {429, http.Header{"Retry-After": {"60"}}},
		{500, nil}, {500, http.Header{"Retry-After": {"60"}}}, {501, nil},
	} {
		fresh, known, sent := strangersRun(t, c.status, c.header, introspect.DefaultCacheTTL)
		t.Logf("%d%v about unknown tokens: %d of %d new tokens pass, and %d of %d questions about one in use",
			c.status, c.header, fresh, sent, known, sent)
		if fresh < sent-1 || known < sent {
			t.Errorf("%d%v: %d and %d of %d pass", c.status, c.header, fresh, known, sent)
		}
	}
}

// These answers are also those of a server in trouble: 502, 503, 504, or nothing in time. A server that gives them
// about unknown tokens counts as down for new tokens. Tokens in use are not affected.
func TestStrangersDoNotShutOutTokensInUse(t *testing.T) {
	for _, status := range []int{0, 502, 503, 504} {
		fresh, known, sent := strangersRun(t, status, nil, time.Second)
		t.Logf("%d about unknown tokens: %d of %d new tokens pass, and %d of %d questions about one in use",
			status, fresh, sent, known, sent)
		if known < sent {
			t.Errorf("%d: %d of %d pass", status, known, sent)
		}
	}
}
