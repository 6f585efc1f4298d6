package integration

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// A request has two tokens: the gate reads one, and the backend or the next gate reads the other (RFC 6750 section 2).
// Two places are refused even when both hold the same good token.
func TestAttackPlaceTwoTokens(t *testing.T) {
	s := start(t,
		gateFor(consumerAlice(t), "token_from header Authorization", "token_from header X-Token", "token_from query jwt",
			"token_from cookie jwt", "token_from form jwt"))
	token := hmacKey(t).Sign(t, claims())
	for _, other := range []string{token, "bad", ""} {
		for name, send := range map[string]func(a *attempt) answer{
			"header and query":  func(a *attempt) answer { return a.get("/?jwt="+other, token) },
			"header and cookie": func(a *attempt) answer { return a.get("/", token, "Cookie", "jwt="+other) },
			"header and form": func(a *attempt) answer {
				return a.form("/", "jwt="+other, "Authorization", "Bearer "+token)
			},
			"query and form":       func(a *attempt) answer { return a.form("/?jwt="+token, "jwt="+other) },
			"query and cookie":     func(a *attempt) answer { return a.get("/?jwt="+token, "", "Cookie", "jwt="+other) },
			"two query parameters": func(a *attempt) answer { return a.get("/?jwt="+token+"&jwt="+other, "") },
			"the same by escape":   func(a *attempt) answer { return a.get("/?jwt="+token+"&%6Awt="+other, "") },
			"two cookies": func(a *attempt) answer {
				return a.get("/", "", "Cookie", "jwt="+other+"; a=b; jwt="+token)
			},
			"two Cookie fields": func(a *attempt) answer {
				return a.get("/", "", "Cookie", "jwt="+token, "Cookie", "jwt="+other)
			},
			"two form fields": func(a *attempt) answer { return a.form("/", "jwt="+token+"&a=b&jwt="+other) },
			"two headers":     func(a *attempt) answer { return a.get("/", token, "X-Token", other) },
		} {
			if other == "" && (name == "header and cookie" || name == "query and cookie") {
				continue // an emptied cookie is no token: TestEmptyCookieIsIgnored
			}
			s.attack(t, fmt.Sprintf("%s, the other %.3q", name, other), func(t *testing.T, a *attempt) {
				a.secret(token)
				a.refusedFor(send(a), "malformed_request")
			})
		}
	}
}

// A second token is in a header whose name the backend cannot tell from ours: lighttpd's CGI variables have one name
// for both. The backend would read a token that was never verified (CVE-2026-52845).
func TestAttackPlaceHeaderUnderAnotherSpelling(t *testing.T) {
	token := hmacKey(t).Sign(t, claims())
	forged := hmacKey(t).Sign(t, claims("sub", "admin"))
	for _, line := range []string{"forward_token", "optional", ""} {
		s := start(t, gateFor(consumerAlice(t), "token_from header X-Access-Token", line))
		s.attack(t, "control: the token alone passes, "+line, func(t *testing.T, a *attempt) {
			a.passed(a.get("/", "", "X-Access-Token", token))
		})
		for _, c := range "!#$%&'*+^`|~" {
			s.attack(t, "X"+string(c)+"Access"+string(c)+"Token, "+line, func(t *testing.T, a *attempt) {
				a.secret(token)
				a.secret(forged)
				a.refusedFor(a.get("/", "", "X-Access-Token", token, "X"+string(c)+"Access"+string(c)+"Token", forged),
					"malformed_request")
				a.refusedFor(a.get("/", "", "X-Access"+string(c)+"Token", forged), "malformed_request")
			})
		}
	}
}

// A second token comes behind the body, as a trailer, which backends may merge into the header: CVE-2026-88004. The
// gate cannot look at it before it decides, so no field that may hold a token travels on as a trailer.
func TestAttackPlaceTrailer(t *testing.T) {
	token := hmacKey(t).Sign(t, claims())
	forged := hmacKey(t).Sign(t, claims("sub", "admin"))
	for _, line := range []string{"forward_token", ""} {
		s := start(t,
			gateFor(consumerAlice(t), "token_from header Authorization", "token_from header X-Access-Token",
				"token_from cookie jwt", line))
		for _, field := range []string{"Authorization: Bearer ", "X-Access-Token: ", "x~access~token: ", "Cookie: jwt="} {
			s.attack(t, field+line, func(t *testing.T, a *attempt) {
				a.secret(token)
				a.secret(forged)
				got := a.passed(a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer " + token +
					"\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + field + forged +
					"\r\nX-Sum: 1\r\n\r\n"))
				if len(got.Trailer) != 1 || got.Trailer.Get("X-Sum") != "1" {
					t.Errorf("trailers %v at the upstream, want the harmless one", got.Trailer)
				}
			})
		}
	}
}

// A second token has a name that the backend takes for ours, so that it reads a token that was never verified. PHP
// makes access_token of "access.token" and of " access_token". It takes the last parameter and the first cookie of a
// name. ASP.NET ignores case. CGI programs decode the names of cookies.
func TestAttackPlaceWithASimilarName(t *testing.T) {
	token := hmacKey(t).Sign(t, claims())
	forged := hmacKey(t).Sign(t, claims("sub", "admin"))
	s := start(t, gateFor(consumerAlice(t), "token_from query access_token", "token_from cookie access_token",
		"token_from form access_token", "forward_token"))
	for _, name := range []string{"access.token", "access%2Etoken", "access%20token", "access[token", "%20access_token",
		"Access_Token", "ACCESS_TOKEN", "%C2%A0access_token"} {
		for order, pair := range map[string][2]string{
			"behind": {"access_token=" + token, name + "=" + forged},
			"before": {name + "=" + forged, "access_token=" + token},
		} {
			for place, send := range map[string]func(a *attempt) answer{
				"query":  func(a *attempt) answer { return a.get("/?"+pair[0]+"&"+pair[1], "") },
				"cookie": func(a *attempt) answer { return a.get("/", "", "Cookie", pair[0]+"; "+pair[1]) },
				"form":   func(a *attempt) answer { return a.form("/", pair[0]+"&"+pair[1]) },
			} {
				s.attack(t, name+" "+order+", "+place, func(t *testing.T, a *attempt) {
					a.refusedFor(send(a), "malformed_request")
				})
			}
		}
	}
	for _, space := range []string{"\u00a0", "\xa0", "\u2003", "\ufeff"} {
		s.attack(t, fmt.Sprintf("%q before the cookie", space), func(t *testing.T, a *attempt) {
			a.secret(token)
			a.refusedFor(a.get("/", "", "Cookie", space+"access_token="+forged+"; access_token="+token), "malformed_request")
		})
	}
}

// The token is in a place that is not configured, where a framework behind the gate may still find it. It does not
// authenticate.
func TestAttackPlaceNotConfigured(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	token := hmacKey(t).Sign(t, claims())
	for name, send := range map[string]func(a *attempt) answer{
		"query access_token": func(a *attempt) answer { return a.get("/?access_token="+token, "") },
		"query jwt":          func(a *attempt) answer { return a.get("/?jwt="+token, "") },
		"cookie": func(a *attempt) answer {
			return a.get("/", "", "Cookie", "access_token="+token+"; jwt="+token+"; token="+token)
		},
		"form": func(a *attempt) answer { return a.form("/", "access_token="+token) },
		"X-Access-Token": func(a *attempt) answer {
			return a.get("/", "", "X-Access-Token", token, "X-Token", token, "Token", token)
		},
		"X-Forwarded header": func(a *attempt) answer {
			return a.get("/", "", "X-Forwarded-Authorization", "Bearer "+token, "X-Original-Authorization", "Bearer "+token)
		},
		"Proxy-Authorization": func(a *attempt) answer { return a.get("/", "", "Proxy-Authorization", "Bearer "+token) },
		"subprotocol":         func(a *attempt) answer { return a.get("/", "", "Sec-WebSocket-Protocol", "bearer, "+token) },
		"user information": func(a *attempt) answer {
			return a.get("/", "", "Authorization", "Basic "+b64("alice:"+token))
		},
		"Authorization with _": func(a *attempt) answer { return a.get("/", "", "Authorization_", "Bearer "+token) },
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(send(a), "missing_token")
		})
	}
}

// One header field holds several credentials, or almost the right thing. A lenient parser picks one, and the strict one
// behind it another. Only exactly one Bearer token authenticates.
func TestAttackPlaceAuthorizationField(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	token := hmacKey(t).Sign(t, claims())
	for _, value := range []string{"Bearer " + token, "bearer " + token, "BEARER   " + token, " Bearer " + token + " "} {
		s.attack(t, "control: "+value[:9]+" passes", func(t *testing.T, a *attempt) {
			a.secret(token)
			a.passed(a.get("/", "", "Authorization", value))
		})
	}
	other := map[string]bool{}
	for _, name := range []string{"by nothing", "by a comma", "by a colon", "by an equals sign", "prefixed scheme",
		"other scheme", "DPoP", "JWT", "no scheme", "full-width scheme", "percent-encoded", "empty"} {
		other[name] = true
	}
	for name, value := range map[string]string{
		"two by comma":              "Bearer " + token + ", Bearer bad",
		"two by comma, the bad one": "Bearer bad, Bearer " + token,
		"behind Basic":              "Basic eDp5, Bearer " + token,
		"before Basic":              "Bearer " + token + ", Basic eDp5",
		"two by space":              "Bearer " + token + " " + token,
		"two by semicolon":          "Bearer " + token + ";" + token,
		"text after it":             "Bearer " + token + " extra",
		"comma after it":            "Bearer " + token + ",",
		"in quotes":                 `Bearer "` + token + `"`,
		"as a parameter":            "Bearer token=" + token,
		"as a quoted parameter":     `Bearer token="` + token + `"`,
		"scheme alone":              "Bearer",
		"scheme and a space":        "Bearer ",
		"scheme twice":              "Bearer Bearer " + token,
		"by a tab":                  "Bearer\t" + token,
		"by a space and a tab":      "Bearer \t" + token,
		"by a no-break space":       "Bearer\u00a0" + token,
		"by a Latin-1 space":        "Bearer\xa0" + token,
		"by nothing":                "Bearer" + token,
		"by a colon":                "Bearer:" + token,
		"by an equals sign":         "Bearer=" + token,
		"by a comma":                "Bearer," + token,
		"prefixed scheme":           "XBearer " + token,
		"other scheme":              "Token " + token,
		"DPoP":                      "DPoP " + token,
		"JWT":                       "JWT " + token,
		"no scheme":                 token,
		"Kelvin sign":               "Bearer\u212a " + token,
		"full-width scheme":         "Ｂearer " + token,
		"percent-encoded":           "Bearer%20" + token,
		"a NUL byte escaped":        "Bearer %00" + token,
		"empty":                     "",
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(token)
			wants := []string{"malformed_request", "malformed_token"}
			if other[name] {
				wants = []string{"missing_token"} // no credentials of ours: 401 without an error code (RFC 6750 section 3.1)
			}
			a.refusedFor(a.get("/", "", "Authorization", value), wants...)
		})
	}
	for name, fields := range map[string][]string{
		"two fields":                  {"Authorization", "Bearer " + token, "Authorization", "Bearer " + token},
		"two fields, the first bad":   {"Authorization", "Bearer bad", "Authorization", "Bearer " + token},
		"two fields, the first other": {"Authorization", "Basic eDp5", "Authorization", "Bearer " + token},
		"two fields in other cases":   {"authorization", "Bearer " + token, "AUTHORIZATION", "Bearer bad"},
		"two fields, one empty":       {"Authorization", "", "Authorization", "Bearer " + token},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(token)
			var text strings.Builder
			for i := 0; i < len(fields); i += 2 {
				text.WriteString(fields[i] + ": " + fields[i+1] + "\r\n")
			}
			a.refusedFor(a.raw("GET / HTTP/1.1\r\nHost: gate.test\r\n"+text.String()+"\r\n"), "malformed_request")
		})
	}
}

// Control characters and broken lines in the field let two parsers see two different requests. Go refuses most of them
// itself; none gets through.
func TestAttackPlaceRawBytesInTheField(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	token := hmacKey(t).Sign(t, claims())
	for name, line := range map[string]string{
		"NUL":                     "Authorization: Bearer " + token + "\x00\r\n",
		"NUL as separator":        "Authorization: Bearer\x00" + token + "\r\n",
		"a bare CR":               "Authorization: Bearer " + token + "\rX: y\r\n",
		"a bare LF":               "Authorization: Bearer " + token[:20] + "\n" + token[20:] + "\r\n",
		"CR and LF":               "Authorization: Bearer " + token[:20] + "\r\n" + token[20:] + "\r\n",
		"a vertical tab":          "Authorization: Bearer\v" + token + "\r\n",
		"a form feed":             "Authorization: Bearer\f" + token + "\r\n",
		"DEL":                     "Authorization: Bearer " + token + "\x7f\r\n",
		"a space before colon":    "Authorization : Bearer " + token + "\r\n",
		"a tab before colon":      "Authorization\t: Bearer " + token + "\r\n",
		"a NUL in the name":       "Authoriz\x00ation: Bearer " + token + "\r\n",
		"a space before the name": " Authorization: Bearer " + token + "\r\n",
		"no colon":                "Authorization Bearer " + token + "\r\n",
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.neverForwarded(a.raw("GET / HTTP/1.1\r\nHost: gate.test\r\n" + line + "\r\n"))
		})
	}
}

// Servers read cookies by different rules: quotes, spaces, commas, prefixes, other cases. What readers may take
// differently does not authenticate, and no part of the token travels on.
func TestAttackPlaceCookies(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from cookie jwt"))
	token := hmacKey(t).Sign(t, claims())
	s.attack(t, "control: among others passes", func(t *testing.T, a *attempt) {
		a.secret(token)
		if got := a.passed(a.get("/", "", "Cookie", "a=1; jwt="+token+"; b=2")); got.Header.Get("Cookie") != "a=1; b=2" {
			t.Errorf("Cookie %q at the upstream", got.Header.Get("Cookie"))
		}
	})
	for name, cookie := range map[string]string{
		"in quotes": `jwt="` + token + `"`, "space before": "jwt= " + token, "space before the sign": "jwt =" + token,
		"upper case": "JWT=" + token, "by a comma": "a=1, jwt=" + token,
		"inside quotes": `a="x; jwt=` + token + `; y"`, "host prefix": "__Host-jwt=" + token, "suffix": "xjwt=" + token,
		"percent-encoded": "jwt=" + url.QueryEscape(token) + "%20",
		"old style":       `$Version=1; jwt="` + token + `"; $Path=/`, "empty name": "=jwt=" + token, "name only": "jwt",
		"empty": "jwt=", "a tab": "jwt=\t" + token, "two": "jwt=" + token + "; jwt=" + token,
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(token)
			a.refusedFor(a.get("/", "", "Cookie", cookie), "malformed_request", "missing_token")
		})
	}
}
