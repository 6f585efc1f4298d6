package introspect_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

// Each tolerance admits its shape. All others, and no tolerance at all, refuse the answer or read another time in it.
func TestTolerance(t *testing.T) {
	at := time.Unix(4102444800, 0)
	type tolerance = introspect.Tolerance
	const none = tolerance(0)
	for _, c := range []struct {
		answer string
		of     tolerance
		want   time.Time // ExpiresAt; the zero Time for none
		good   bool
	}{
		{`{"active":true,"exp":"4102444800"}`, introspect.TextDates, at, true},
		{`{"active":true,"exp":"4102444800"}`, none, time.Time{}, false},
		{`{"active":true,"exp":"4102444800"}`, ^introspect.TextDates, time.Time{}, false},
		{`{"active":true,"exp":4102444800000}`, introspect.MillisecondDates, at, true},
		{`{"active":true,"exp":4102444800000}`, none, time.Time{}, false},
		{`{"active":true,"exp":4102444800000}`, ^introspect.MillisecondDates, time.Time{}, false},
		{`{"active":true,"exp":4102444800}`, introspect.MillisecondDates, time.UnixMilli(4102444800), true},
		{`{"active":true,"exp":"4102444800000"}`, introspect.TextDates | introspect.MillisecondDates, at, true},
		{`{"active":true,"exp":null}`, introspect.NeverExpires, time.Time{}, true},
		{`{"active":true,"exp":null}`, none, time.Time{}, false},
		{`{"active":true,"exp":null}`, ^introspect.NeverExpires, time.Time{}, false},
		{`{"active":true,"exp":0}`, introspect.NeverExpires, time.Time{}, true},
		{`{"active":true,"exp":0}`, none, time.Unix(0, 0), true},
		{`{"active":true,"exp":0.0}`, introspect.NeverExpires, time.Unix(0, 0), true},
		{`{"active":true,"exp":"0"}`, introspect.NeverExpires | introspect.TextDates, time.Unix(0, 0), true},
		{`{"active":true,"exp":"0"}`, introspect.NeverExpires, time.Time{}, false},
		{`{"active":true,"exp":""}`, ^none, time.Time{}, false},
		{`{"active":true,"exp":false}`, ^none, time.Time{}, false},
		{`{"active":true,"exp":-1}`, ^none, time.Time{}, false},
		{`{"active":true,"exp":" 1"}`, ^none, time.Time{}, false},
		{`{"active":true,"iat":"x"}`, ^none, time.Time{}, false},
		{`{"active":true,"nbf":0,"iat":null}`, introspect.NeverExpires, time.Time{}, true},
		{`{"active":"true"}`, ^none, time.Time{}, false},
		{`{"active":1}`, ^none, time.Time{}, false},
	} {
		cfg := fakeConfig(func(*http.Request) (*http.Response, error) { return response(200, c.answer), nil })
		cfg.Tolerate = c.of
		r, err := newClient(t, cfg).Introspect(t.Context(), testToken)
		if (err == nil) != c.good || err != nil && !errors.Is(err, introspect.CauseProtocol) || !r.ExpiresAt.Equal(c.want) {
			t.Errorf("%s with %b: got %v, %v", c.answer, c.of, r.ExpiresAt, err)
		}
	}
}

func TestToleranceOfUserInfo(t *testing.T) {
	for answer, good := range map[string]bool{
		`{"sub":"a"}`: true, `{"sub":4711}`: true, `{"sub":-1}`: false, `{"sub":1.5}`: false, `{"sub":1e3}`: false,
		`{"sub":""}`: false, `{"sub":null}`: false, `{"sub":true}`: false, `{"sub":[1]}`: false, `{}`: false,
	} {
		for _, tolerate := range []introspect.Tolerance{0, introspect.NumericSubject, ^introspect.NumericSubject} {
			cfg := introspect.Config{Mode: introspect.UserInfo, Endpoint: "https://as.example.com/userinfo", Tolerate: tolerate}
			cfg.HTTPClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
				return response(200, answer), nil
			})}
			want := good && (tolerate == introspect.NumericSubject || answer == `{"sub":"a"}`)
			r, err := newClient(t, cfg).Introspect(t.Context(), testToken)
			if r.Active != want || (err == nil) != want {
				t.Errorf("%s with %b: got %v, %v", answer, tolerate, r.Active, err)
			}
		}
	}
}

// A token without an end is asked about again as often as any other.
func TestTokenThatNeverExpiresIsRememberedForTheUsualTime(t *testing.T) {
	now, calls := time.Unix(1_700_000_000, 0), 0
	cfg := fakeConfig(func(*http.Request) (*http.Response, error) {
		calls++
		return response(200, `{"active":true,"exp":0}`), nil
	})
	cfg.Tolerate, cfg.CacheTTL, cfg.Now = introspect.NeverExpires, time.Minute, func() time.Time { return now }
	c := newClient(t, cfg)
	for i, want := range []int{1, 1, 2} {
		r, err := c.Introspect(t.Context(), testToken)
		if err != nil || !r.ActiveAt(now, 0) || calls != want {
			t.Errorf("question %d: %+v, %v; %d calls, want %d", i, r, err, calls, want)
		}
		if i > 0 {
			now = now.Add(time.Minute)
		}
	}
}

// Clients that tolerate different shapes are not shared.
func TestToleranceCountsInTheFingerprint(t *testing.T) {
	cfg := basicConfig("https://as.example.com/introspect")
	tolerant := cfg
	tolerant.Tolerate = introspect.NeverExpires
	if cfg.Fingerprint() == tolerant.Fingerprint() {
		t.Error("it does not count")
	}
}
