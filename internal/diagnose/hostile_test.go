package diagnose_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/diagnose"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// controls are texts that do something to a terminal, or to the lines of a log.
const controls = "\x1b[2J\x1b]0;title\a\u009b31m\u202egnp\r\nproblem (forged): \x7f\xff\u200b"

// A server chooses key ids, the issuer in its metadata, addresses and header fields. None of them reaches a terminal as
// it is, and none is long.
func TestAttackReportOfAHostileServer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "a").JWK()
	for name, change := range map[string]func(*setup){
		"key ids": func(s *setup) {
			var keys []map[string]any
			for _, kid := range []string{controls, strings.Repeat("k", 1<<16), controls + strings.Repeat("x", 1<<10)} {
				another := make(map[string]any)
				for member, value := range key {
					another[member] = value
				}
				another["kid"] = kid
				keys = append(keys, another)
			}
			s.as.AnswerJWKS(200, tokentest.JWKSOf(keys...))
		},
		"ids of keys that cannot be used": func(s *setup) {
			s.as.AnswerJWKS(200, tokentest.JWKSOf(key, map[string]any{"kty": controls, "kid": controls}))
		},
		"the issuer of the metadata": func(s *setup) {
			s.as.ChangeMetadata(func(document map[string]any) {
				document["issuer"] = controls + strings.Repeat("i", 1<<16)
			})
		},
		"a template": func(s *setup) {
			s.as.ChangeMetadata(func(document map[string]any) {
				document["issuer"] = "{" + controls + strings.Repeat("i", 1<<16) + "}"
			})
		},
		"an address": func(s *setup) {
			s.as.ChangeMetadata(func(document map[string]any) {
				document["jwks_uri"] = s.as.URL + "/\u009b31m\u202e" + strings.Repeat("a", 1<<16)
			})
		},
		"algorithms": func(s *setup) {
			s.as.ChangeMetadata(func(document map[string]any) {
				document["id_token_signing_alg_values_supported"] = []string{controls, "RS256"}
			})
		},
		"a media type": func(s *setup) { s.as.AnswerJWKS(200, "no", "Content-Type", "text/"+controls) },
		"a redirect":   func(s *setup) { s.as.AnswerJWKS(302, "", "Location", "https://\u202e.example/") },
		"an answer about a token": func(s *setup) {
			s.askedAbout()
			s.as.Introspect(func(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
				return tokentest.IntrospectionAnswer{Body: controls, Status: 400}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t)
			change(s)
			report := s.check(t)
			text, err := json.Marshal(report)
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, key := range report.Keys {
				all = append(all, key.Name)
			}
			for _, skipped := range report.Skipped {
				all = append(append(all, skipped.Names...), skipped.Reason)
			}
			for _, f := range report.Findings {
				all = append(all, f.Text, f.Cure)
			}
			all = append(all, report.Issuer, report.Metadata, report.KeySet)
			for _, text := range all {
				if i := strings.IndexFunc(text, func(r rune) bool { return r < 0x20 || r > 0x7e }); i >= 0 {
					t.Errorf("not printable: %q", text)
				}
			}
			if len(text) > 8<<10 {
				t.Errorf("the report has %d bytes", len(text))
			}
		})
	}
}

// Some of many servers never answer. The others are checked all the same, and the check ends in time.
func TestAttackServersThatHang(t *testing.T) {
	const many = 200
	good, hanging := newSetup(t), newSetup(t)
	hanging.as.Stall()
	hanging.timeout = patience
	issuers := make([]diagnose.Issuer, many)
	for i := range issuers {
		if issuers[i] = good.open(t); i%40 == 0 {
			issuers[i] = hanging.open(t)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var progress []int
	reports := diagnose.Run(ctx, issuers, func(n int) {
		if progress = append(progress, n); n == many-many/40 {
			cancel(errors.New("all good servers have answered"))
		}
	})
	for i, report := range reports {
		switch hangs := i%40 == 0; {
		case hangs && !has(report.Findings, found{diagnose.Problem, diagnose.NotChecked, nil}):
			t.Errorf("%d hangs: %+v", i, report)
		case !hangs && (report.Result != diagnose.OK || len(report.Keys) != 1):
			t.Errorf("%d is good: %+v", i, report)
		}
	}
	if len(progress) != many || progress[0] != 1 || progress[many-1] != many {
		t.Errorf("progress %v", progress)
	}
}

// A check that has no time left asks no server.
func TestCheckWithoutTime(t *testing.T) {
	s := newSetup(t)
	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	issuer := s.open(t)
	report := diagnose.Run(ctx, []diagnose.Issuer{issuer}, func(int) {})[0]
	expect(t, report, problem(diagnose.NotChecked, "--timeout"))
	if n := issuer.Metadata.Stats().Fetches; n != 0 {
		t.Errorf("%d fetches", n)
	}
}

// A server that sends its answer drop by drop is given up like one that does not answer.
func TestAttackAnswerWithoutEnd(t *testing.T) {
	s := newSetup(t)
	s.timeout = 100 * time.Millisecond
	s.as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(" ")); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
	})
	report := s.check(t)
	if report.Result != diagnose.Problem {
		t.Errorf("%+v", report)
	}
}

func TestProgressIsOneLine(t *testing.T) {
	var out strings.Builder
	progress := &diagnose.Progress{To: &out, Total: 2}
	progress.Show(1)
	progress.Show(2)
	progress.End()
	if got, want := out.String(), "\rchecked 1 of 2 issuers\rchecked 2 of 2 issuers\r\x1b[K"; got != want {
		t.Errorf("%q", got)
	}
	progress = nil
	progress.Show(1) // when nobody looks
	progress.End()
}
