package claims_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
)

var now = time.Unix(1_700_000_000, 0)

func TestCheckTime(t *testing.T) {
	const ns, s = time.Nanosecond, time.Second
	for _, tt := range []struct {
		name, text string
		at         time.Duration // from now
		leeway     time.Duration
		want       error
	}{
		{"no exp", `{"iat":1700000000}`, 0, time.Hour, claims.ErrMissing},
		{"no dates", `{}`, 0, 0, claims.ErrMissing},
		{"EXP does not count", `{"EXP":1700000001}`, 0, 0, claims.ErrMissing},
		{"exp of zero is long past, not absent", `{"exp":0}`, 0, 0, claims.ErrExpired},

		{"one second before exp", `{"exp":1700000001}`, 0, 0, nil},
		{"one nanosecond before exp", `{"exp":1700000001}`, s - ns, 0, nil},
		{"at exp", `{"exp":1700000000}`, 0, 0, claims.ErrExpired},
		{"after exp", `{"exp":1699999999}`, 0, 0, claims.ErrExpired},
		{"one nanosecond before exp and leeway", `{"exp":1700000000}`, 30*s - ns, 30 * s, nil},
		{"at exp and leeway", `{"exp":1700000000}`, 30 * s, 30 * s, claims.ErrExpired},
		{"before a fraction", `{"exp":1700000000.5}`, 500*time.Millisecond - ns, 0, nil},
		{"at a fraction", `{"exp":1700000000.5}`, 500 * time.Millisecond, 0, claims.ErrExpired},
		{"the last possible date", `{"exp":253402300799}`, 0, 5 * time.Minute, nil},

		{"at nbf", `{"exp":1800000000,"nbf":1700000000}`, 0, 0, nil},
		{"one nanosecond before nbf", `{"exp":1800000000,"nbf":1700000000}`, -ns, 0, claims.ErrNotYetValid},
		{"before nbf by the leeway", `{"exp":1800000000,"nbf":1700000000}`, -30 * s, 30 * s, nil},
		{"before nbf by more than the leeway", `{"exp":1800000000,"nbf":1700000000}`,
			-30*s - ns, 30 * s, claims.ErrNotYetValid},
		{"nbf of zero", `{"exp":1800000000,"nbf":0}`, 0, 0, nil},

		{"at iat", `{"exp":1800000000,"iat":1700000000}`, 0, 0, nil},
		{"one nanosecond before iat", `{"exp":1800000000,"iat":1700000000}`, -ns, 0, claims.ErrNotYetValid},
		{"before iat by the leeway", `{"exp":1800000000,"iat":1700000000}`, -30 * s, 30 * s, nil},
		{"before iat by more than the leeway", `{"exp":1800000000,"iat":1700000000}`,
			-30*s - ns, 30 * s, claims.ErrNotYetValid},

		{"expired before it began", `{"exp":1600000000,"nbf":1800000000}`, 0, 0, claims.ErrExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := claims.CheckTime(decode(t, tt.text), now.Add(tt.at), tt.leeway); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestCheckNotBefore(t *testing.T) {
	for text, want := range map[string]error{
		`{}`:                 nil,
		`{"exp":1}`:          nil, // not checked here
		`{"nbf":1700000005}`: nil,
		`{"nbf":1700000006}`: claims.ErrNotYetValid,
		`{"iat":1700000005}`: nil,
		`{"iat":1700000006}`: claims.ErrNotYetValid,
	} {
		if err := claims.CheckNotBefore(decode(t, text), now, 5*time.Second); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", text, err, want)
		}
	}
}

// The wall clock must decide, even if now has a reading of the monotonic clock.
func TestCheckTimeIgnoresTheMonotonicClock(t *testing.T) {
	wall := time.Now()
	s := decode(t, fmt.Sprintf(`{"exp":%d}`, wall.Unix()+3600))
	if err := claims.CheckTime(s, wall, 0); err != nil {
		t.Error(err)
	}
	if err := claims.CheckTime(s, wall.Add(time.Hour), 0); !errors.Is(err, claims.ErrExpired) {
		t.Errorf("got %v", err)
	}
}

func TestCheckAudience(t *testing.T) {
	us := []string{"https://api.example.com", "me"}
	for _, tt := range []struct {
		name, text string
		accepted   []string
		want       error
	}{
		{"a string", `{"aud":"me"}`, us, nil},
		{"in an array", `{"aud":["other","https://api.example.com"]}`, us, nil},
		{"somebody else", `{"aud":"evil"}`, us, claims.ErrAudience},
		{"only others", `{"aud":["evil","worse"]}`, us, claims.ErrAudience},
		{"none", `{}`, us, claims.ErrAudience},
		{"Aud does not count", `{"Aud":"me"}`, us, claims.ErrAudience},
		{"another case", `{"aud":"ME"}`, us, claims.ErrAudience},
		{"a trailing slash", `{"aud":"https://api.example.com/"}`, us, claims.ErrAudience},
		{"a prefix", `{"aud":"https://api.example"}`, us, claims.ErrAudience},
		{"a longer name", `{"aud":"https://api.example.com.evil.example"}`, us, claims.ErrAudience},
		{"joined by spaces", `{"aud":"me https://api.example.com"}`, us, claims.ErrAudience},
		{"nothing accepted", `{"aud":"me"}`, nil, claims.ErrAudience},
		{"nothing accepted, no aud", `{}`, nil, claims.ErrAudience},
		{"an empty name accepted, no aud", `{}`, []string{""}, claims.ErrAudience},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := claims.CheckAudience(decode(t, tt.text), tt.accepted); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestCheckIssuer(t *testing.T) {
	for _, tt := range []struct {
		text, issuer string
		want         error
	}{
		{`{"iss":"https://as.example"}`, "https://as.example", nil},
		{`{"iss":"https:\/\/as.example"}`, "https://as.example", nil},
		{`{"iss":"https://as.example/"}`, "https://as.example", claims.ErrIssuer},
		{`{"iss":"https://AS.example"}`, "https://as.example", claims.ErrIssuer},
		{`{"iss":"https://as.example "}`, "https://as.example", claims.ErrIssuer},
		{`{}`, "https://as.example", claims.ErrIssuer},
		{`{}`, "", claims.ErrIssuer},
	} {
		if err := claims.CheckIssuer(decode(t, tt.text), tt.issuer); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.text, err, tt.want)
		}
	}
}

func TestCheckPresent(t *testing.T) {
	set := decode(t, `{"sub":"a","zero":0,"no":false,"list":[null],"object":{"a":1},"escaped":"\u0041","quote":"\"",
		"null":null,"empty":"","blank":" \t","hidden blank":"\u0020","wide blank":"\u2003","none":[ ],`+
		`"nothing":{ },"nested":{"a":"","b":"x"}}`)
	for path, want := range map[string]error{
		"sub": nil, "zero": nil, "no": nil, "list": nil, "object": nil, "escaped": nil, "quote": nil, "nested.b": nil,
		"null": claims.ErrMissing, "empty": claims.ErrMissing, "blank": claims.ErrMissing, "hidden blank": claims.ErrMissing,
		"wide blank": claims.ErrMissing, "none": claims.ErrMissing,
		"nothing": claims.ErrMissing, "nested.a": claims.ErrMissing,
		"absent": claims.ErrMissing, "SUB": claims.ErrMissing, "sub.x": claims.ErrMissing,
	} {
		err := claims.CheckPresent(set, []claims.Path{mustPath(t, "sub"), mustPath(t, path)})
		if !errors.Is(err, want) || err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %v", path, err, want)
		}
	}
	if err := claims.CheckPresent(set, nil); err != nil {
		t.Error(err)
	}
	if err := claims.CheckPresent(set, make([]claims.Path, 1)); !errors.Is(err, claims.ErrMissing) {
		t.Errorf("the zero path leads to something: %v", err)
	}
}

func TestCheckLifetime(t *testing.T) {
	const minute = time.Minute
	for _, tt := range []struct {
		name, text string
		leeway     time.Duration
		want       error
	}{
		{"as long as allowed", `{"iat":1700000000,"exp":1700000060}`, 0, nil},
		{"longer by a fraction", `{"iat":1700000000,"exp":1700000060.000000001}`, 0, claims.ErrLifetime},
		{"longer, and leeway does not help", `{"iat":1700000000,"exp":1700000061}`, minute, claims.ErrLifetime},
		{"short, but it ends far away", `{"iat":1700000001,"exp":1700000061}`, 0, claims.ErrLifetime},
		{"short, and it ends within the leeway", `{"iat":1700000001,"exp":1700000061}`, time.Second, nil},
		{"old, and too long in all", `{"iat":1600000000,"exp":1700000001}`, 0, claims.ErrLifetime},
		{"from the first possible date to the last", `{"iat":0,"exp":253402300799}`, 0, claims.ErrLifetime},
		{"no iat", `{"exp":1700000060}`, 0, claims.ErrMissing},
		{"no exp", `{"iat":1700000000}`, 0, claims.ErrMissing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := claims.CheckLifetime(decode(t, tt.text), now, minute, tt.leeway); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestCheckAccessToken(t *testing.T) {
	all := map[string]string{
		"iss": `"https://as.example"`, "exp": "1700000000", "aud": `"me"`,
		"sub": `"a"`, "client_id": `"c"`, "iat": "1700000000", "jti": `"1"`,
	}
	without := func(leave string) string {
		var members []string
		for name, value := range all {
			if name != leave {
				members = append(members, `"`+name+`":`+value)
			}
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	if err := claims.CheckAccessToken(decode(t, without(""))); err != nil {
		t.Errorf("complete: %v", err)
	}
	for name := range all {
		err := claims.CheckAccessToken(decode(t, without(name)))
		if !errors.Is(err, claims.ErrMissing) || !strings.HasSuffix(err.Error(), ": "+name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestPassedChecksDoNotAllocate(t *testing.T) {
	set := decode(t, typical)
	audience, required := []string{"x", "account"}, []claims.Path{mustPath(t, "sub"), mustPath(t, "realm_access.roles")}
	got := testing.AllocsPerRun(100, func() {
		for _, err := range [...]error{
			claims.CheckTime(set, now, time.Second),
			claims.CheckAudience(set, audience),
			claims.CheckIssuer(set, "https://auth.example.com/realms/main"),
			claims.CheckPresent(set, required),
			claims.CheckLifetime(set, now, time.Hour, 0),
			claims.CheckAccessToken(set),
		} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}
