package integration

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const formType = "application/x-www-form-urlencoded"

// form sends a POST with a form body.
func (a *attempt) form(path, body string, header ...string) answer {
	a.t.Helper()
	return a.do(a.request("POST", path, strings.NewReader(body), append([]string{"Content-Type", formType}, header...)...))
}

// Readers decode queries and forms in different ways: escapes twice, semicolons as separators (CVE-2022-2880), plus
// signs as spaces, names cut at NUL, only so many parameters (CVE-2026-39825). The gate refuses a request that readers
// would take differently, and leaves no token in what goes to the backend.
func TestAttackPlaceQueryAndFormDecoding(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from query jwt", "token_from form jwt"))
	token := hmacKey(t).Sign(t, claims())
	for name, text := range map[string]string{
		"semicolon before":       "a=1;jwt=" + token,
		"semicolon after":        "jwt=" + token + ";a=1",
		"escaped twice":          "jwt=" + strings.ReplaceAll(token, ".", "%252E"),
		"plus for a space":       "jwt=+" + token,
		"plus after":             "jwt=" + token + "+",
		"broken escape":          "jwt=%zz" + token,
		"escape cut off":         "jwt=" + token + "%2",
		"NUL after":              "jwt=" + token + "%00",
		"line end":               "jwt=" + token + "%0d%0a",
		"name with NUL":          "jwt%00=" + token,
		"name with NUL and more": "jwt%00x=" + token,
		"name with a bad escape": "j%wt=" + token,
		"upper-case name":        "JWT=" + token,
		"name with a space":      "jwt+=" + token,
		"name with brackets":     "jwt[]=" + token,
		"name with a dot":        "jwt.x=" + token,
		"only the name":          "jwt",
		"empty":                  "jwt=",
		"empty and good":         "jwt=&jwt=" + token,
		"as a name":              token + "=jwt",
		"ampersand escaped":      "a=1%26jwt=" + token,
		"HTML ampersand":         "a=1&amp;jwt=" + token,
	} {
		for place, send := range map[string]func(a *attempt) answer{
			"query": func(a *attempt) answer { return a.get("/?"+text, "") },
			"form":  func(a *attempt) answer { return a.form("/", text) },
		} {
			s.attack(t, name+" in the "+place, func(t *testing.T, a *attempt) {
				if place == "form" {
					a.secret(token)
				}
				a.refusedFor(send(a), "malformed_request", "missing_token", "malformed_token")
			})
		}
	}
	many := strings.Repeat("a=1&", 1001)
	for name, test := range map[string][2]string{
		"escaped dots":         {"jwt=" + strings.ReplaceAll(token, ".", "%2E") + "&b=2", "b=2"},
		"escaped name":         {"a=1&%6a%77%74=" + token, "a=1"},
		"after 1,001 others":   {many + "jwt=" + token, strings.TrimSuffix(many, "&")},
		"between empty pairs":  {"&&jwt=" + token + "&&", "&&&"},
		"order and bytes stay": {"b=%41&jwt=" + token + "&a=+&%zz;q", "b=%41&a=+&%zz;q"},
	} {
		s.attack(t, name+" in the query passes without the token", func(t *testing.T, a *attempt) {
			got := a.passed(a.get("/?"+test[0], ""))
			if got.URI != "/?"+test[1] {
				t.Errorf("%q at the upstream, want %q", got.URI, "/?"+test[1])
			}
		})
		s.attack(t, name+" in the form passes without the token", func(t *testing.T, a *attempt) {
			a.secret(token)
			got := a.passed(a.form("/", test[0]))
			if got.Body != test[1] {
				t.Errorf("%q at the upstream, want %q", got.Body, test[1])
			}
		})
	}
}

// The body only looks like a form: it has another charset, a coding, several parts, a method without a body, or two
// types. The gate reads only the one media type of RFC 6750 section 2.2.
func TestAttackPlaceBodyOfAnotherType(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from form jwt"))
	token := hmacKey(t).Sign(t, claims())
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(w, "jwt="+token)
	_ = w.Close()
	multipart := "--b\r\nContent-Disposition: form-data; name=\"jwt\"\r\n\r\n" + token + "\r\n--b--\r\n"
	for name, test := range map[string]struct {
		method, body string
		header       []string
	}{
		"UTF-16":               {"POST", "jwt=" + token, []string{"Content-Type", formType + "; charset=utf-16"}},
		"UTF-7":                {"POST", "jwt=" + token, []string{"Content-Type", formType + "; charset=utf-7"}},
		"IBM037":               {"POST", "jwt=" + token, []string{"Content-Type", formType + "; charset=ibm037"}},
		"a boundary":           {"POST", "jwt=" + token, []string{"Content-Type", formType + "; boundary=b"}},
		"multipart":            {"POST", multipart, []string{"Content-Type", "multipart/form-data; boundary=b"}},
		"plain text":           {"POST", "jwt=" + token, []string{"Content-Type", "text/plain"}},
		"JSON":                 {"POST", `{"jwt":"` + token + `"}`, []string{"Content-Type", "application/json"}},
		"no type":              {"POST", "jwt=" + token, nil},
		"two types":            {"POST", "jwt=" + token, []string{"Content-Type", formType, "Content-Type", "text/plain"}},
		"two types in a field": {"POST", "jwt=" + token, []string{"Content-Type", formType + ", text/plain"}},
		"the type as prefix":   {"POST", "jwt=" + token, []string{"Content-Type", formType + "x"}},
		"gzip":                 {"POST", zipped.String(), []string{"Content-Type", formType, "Content-Encoding", "gzip"}},
		"gzip claimed":         {"POST", "jwt=" + token, []string{"Content-Type", formType, "Content-Encoding", "gzip"}},
		"GET":                  {"GET", "jwt=" + token, []string{"Content-Type", formType}},
		"DELETE":               {"DELETE", "jwt=" + token, []string{"Content-Type", formType}},
		"method override":      {"GET", "jwt=" + token, []string{"Content-Type", formType, "X-HTTP-Method-Override", "POST"}},
		"not ASCII":            {"POST", "a=\xc3\xa9&jwt=" + token, []string{"Content-Type", formType}},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(token)
			a.refusedFor(a.do(a.request(test.method, "/", strings.NewReader(test.body), test.header...)), "missing_token",
				"malformed_request")
		})
	}
}

// A body without end makes the gate read and keep everything, since the token may come last: a class of CVE-2023-45290.
// The gate reads up to a bound, whether or not the length is announced.
func TestAttackPlaceHugeForm(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from header Authorization", "token_from form jwt"))
	token := hmacKey(t).Sign(t, claims())
	big := "a=" + strings.Repeat("x", 2<<20) + "&jwt=" + token
	s.attack(t, "announced", func(t *testing.T, a *attempt) {
		a.secret(token)
		a.refusedFor(a.form("/", big), "body_too_large")
	})
	s.attack(t, "chunked", func(t *testing.T, a *attempt) {
		a.secret(token)
		a.refusedFor(a.do(a.request("POST", "/", io.MultiReader(strings.NewReader(big)), "Content-Type", formType)),
			"body_too_large")
	})
	s.attack(t, "chunked, a gigabyte", func(t *testing.T, a *attempt) {
		a.secret(token)
		sent := &counted{Reader: io.MultiReader(io.LimitReader(zeros{}, 1<<30), strings.NewReader("&jwt="+token))}
		response, err := a.client.Do(a.request("POST", "/", sent, "Content-Type", formType))
		if err == nil { // the server may close the connection while the client is still sending
			_ = response.Body.Close()
			if response.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("status %d, want 413", response.StatusCode)
			}
		}
		if reason := a.reason(); reason != "body_too_large" {
			t.Errorf("reason %q", reason)
		}
		if n := sent.n.Load(); n > 64<<20 {
			t.Errorf("%d bytes were taken from the client", n)
		}
		a.nothingForwarded()
	})
	s.attack(t, "announced as a terabyte", func(t *testing.T, a *attempt) {
		a.refusedFor(a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Type: "+formType+
			"\r\nContent-Length: 1099511627776\r\n\r\njwt="+token), "body_too_large")
	})
	s.attack(t, "with Expect, refused before it is sent", func(t *testing.T, a *attempt) {
		a.refusedFor(a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Type: "+formType+
			"\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"), "body_too_large")
	})
	s.attack(t, "shorter than announced", func(t *testing.T, a *attempt) {
		conn, err := s.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(conn,
			"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Type: "+formType+"\r\nContent-Length: 9999\r\n\r\njwt="+token+"&")
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
		if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			_ = response.Body.Close()
			if response.StatusCode != http.StatusBadRequest {
				t.Errorf("status %d, want 400", response.StatusCode)
			}
		}
		if n := len(a.upstream.take()); n != 0 {
			t.Errorf("%d requests reached the upstream", n)
		}
	})
	s.attack(t, "a large body of another kind streams on", func(t *testing.T, a *attempt) {
		a.secret(token)
		got := a.passed(a.do(a.request("POST", "/", strings.NewReader(big), "Content-Type", "application/octet-stream",
			"Authorization", "Bearer "+token)))
		if got.Body != big {
			t.Errorf("%d bytes at the upstream, want %d", len(got.Body), len(big))
		}
	})
}

// counted counts what is read.
type counted struct {
	io.Reader
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}
