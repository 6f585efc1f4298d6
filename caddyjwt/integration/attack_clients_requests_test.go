package integration

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// Requests of clients that two readers take for two requests, or for one of somebody else. No such request gets a
// token, and none reaches the backend.
func TestAttackRequestsOfClientsWithTwoReadings(t *testing.T) {
	b := openBoothForClients(t)
	good := asking("scope", "read").Encode()
	basic, stock := secretOf("billing"), secretOf("stock")
	post := "&client_id=billing&client_secret=" + url.QueryEscape(clientSecret)
	encoded := strings.TrimPrefix(basic[1], "Basic ")
	raw := "Basic " + basicOf("billing", clientSecret) // not encoded as in a form: it has a % in it
	type request struct {
		kind, body string
		header     []string
		want       string
	}
	tries := make(map[string]request)
	for name, form := range map[string][2]string{
		"grant_type twice":               {good + "&grant_type=client_credentials", "400 invalid_request"},
		"another grant_type first":       {"grant_type=refresh_token&" + good, "400 invalid_request"},
		"grant_type twice, once escaped": {good + "&grant%5Ftype=refresh_token", "400 invalid_request"},
		"scope twice":                    {good + "&scope=write", "400 invalid_request"},
		"an unknown parameter twice":     {good + "&x=1&x=2", "400 invalid_request"},
		"two resources": {
			good + "&resource=" + audience + "&resource=" + otherResource, "400 invalid_target",
		},
		"a resource twice":                {good + "&resource=" + audience + "&resource=" + audience, "400 invalid_target"},
		"a resource with a slash more":    {good + "&resource=" + audience + "/", "400 invalid_target"},
		"a resource in other letters":     {good + "&resource=HTTPS://API.example.com", "400 invalid_target"},
		"a scope with two blanks":         {"grant_type=client_credentials&scope=read++write", "400 invalid_scope"},
		"a scope with a blank at its end": {good + "+", "400 invalid_scope"},
		"a scope with a line break":       {good + "%0Awrite", "400 invalid_scope"},
		"a scope with a tab":              {good + "%09write", "400 invalid_scope"},
		"a scope in other letters":        {"grant_type=client_credentials&scope=READ", "400 invalid_scope"},
		"a semicolon":                     {"grant_type=client_credentials;scope=read", "400 invalid_request"},
		"a bad escape":                    {good + "&x=%zz", "400 invalid_request"},
		"bytes that are no text":          {good + "&x=%ff", "400 invalid_request"},
		"a NUL after the grant":           {"grant_type=client_credentials%00", "400 unsupported_grant_type"},
		"the grant in other letters":      {"grant_type=Client_Credentials", "400 unsupported_grant_type"},
		"the name in other letters":       {"Grant_Type=client_credentials", "400 invalid_request"},
		"password":                        {"grant_type=password&username=alice&password=x", "400 unsupported_grant_type"},
		"implicit":                        {"response_type=token", "400 invalid_request"},
		"nothing":                         {"", "400 invalid_request"},
		"too many parameters":             {good + manyParameters(99), "400 invalid_request"},
		"too large":                       {good + "&x=" + strings.Repeat("a", 64<<10), "413 invalid_request"},
		"JSON as a form":                  {`{"grant_type":"client_credentials"}`, "400 invalid_request"},
		"Basic of one, client_id of two":  {good + "&client_id=stock", "400 invalid_request"},
		"Basic, and a secret in the form": {good + post, "400 invalid_request"},
		"Basic, and an assertion":         {asserting(asking(), "x.y.z").Encode(), "400 invalid_request"},
		"a client refreshes": {
			"grant_type=refresh_token&refresh_token=" + strings.Repeat("A", 64), "400 unauthorized_client",
		},
		"a redirect of a browser is no way": {"grant_type=authorization_code&code=x", "400 unsupported_grant_type"},
	} {
		tries[name] = request{asForm, form[0], basic, form[1]}
	}
	for name, try := range map[string]request{
		"JSON":              {asJSONBody, `{"grant_type":"client_credentials"}`, basic, "415 invalid_request"},
		"a form as JSON":    {asJSONBody, good, basic, "415 invalid_request"},
		"a form with parts": {"multipart/form-data; boundary=x", "--x\r\n\r\n--x--", basic, "415 invalid_request"},
		"no type":           {"", good, basic, "415 invalid_request"},
		"two types": {
			asForm, good, append([]string{"Content-Type", asJSONBody}, basic...), "415 invalid_request",
		},
		"another charset": {asForm + "; charset=utf-16", good, basic, "415 invalid_request"},
		"encoded": {
			asForm, good, append([]string{"Content-Encoding", "gzip"}, basic...), "415 invalid_request",
		},
		"two clients, Basic twice": {asForm, good, append(basic, stock...), "400 invalid_request"},
		"two clients in one field": {
			asForm, good, []string{"Authorization", basic[1] + ", " + stock[1]}, "400 invalid_request",
		},
		"Basic with more behind it": {
			asForm, good, []string{"Authorization", basic[1] + " x"}, "400 invalid_request",
		},
		"Basic with padding more": {
			asForm, good, []string{"Authorization", "Basic " + encoded + "="}, "400 invalid_request",
		},
		"Basic that is not encoded": {asForm, good, []string{"Authorization", raw}, "400 invalid_request"},
		"a secret, and an assertion": {
			asForm, asserting(asking(), "x.y.z").Encode() + post, nil, "400 invalid_request",
		},
		"client_id twice":            {asForm, good + post + "&client_id=stock", nil, "400 invalid_request"},
		"client_secret twice":        {asForm, good + post + "&client_secret=x", nil, "400 invalid_request"},
		"a secret without client_id": {asForm, good + "&client_secret=x", nil, "400 invalid_request"},
		"an assertion of another type": {
			asForm, good + "&client_assertion_type=saml&client_assertion=x.y.z", nil, "401 invalid_client",
		},
		"an assertion without its type": {asForm, good + "&client_assertion=x.y.z", nil, "400 invalid_request"},
		"a type without its assertion": {
			asForm, good + "&client_assertion_type=" + assertionType, nil, "400 invalid_request",
		},
		"no client":                    {asForm, good, nil, "401 invalid_client"},
		"only an id":                   {asForm, good + "&client_id=billing", nil, "401 invalid_client"},
		"an empty secret":              {asForm, good + "&client_id=billing&client_secret=", nil, "401 invalid_client"},
		"an empty secret in Basic":     {asForm, good, secretOf("billing", ""), "401 invalid_client"},
		"no id in Basic":               {asForm, good, secretOf(""), "400 invalid_request"},
		"the id in other letters":      {asForm, good, secretOf("BILLING"), "401 invalid_client"},
		"the id with a blank":          {asForm, good, secretOf("billing "), "401 invalid_client"},
		"the id with a NUL":            {asForm, good, secretOf("billing\x00"), "401 invalid_client"},
		"the account of another table": {asForm, good, secretOf("0 billing"), "401 invalid_client"},
		"Bearer":                       {asForm, good, []string{"Authorization", "Bearer " + encoded}, "401 invalid_client"},
		"an application asks for itself": {
			asForm, good + "&client_id=" + url.QueryEscape(orders), nil, "400 unauthorized_client",
		},
		"an application with a secret": {asForm, good, secretOf(orders), "401 invalid_client"},
		"an application with an assertion": {
			asForm, asserting(asking("client_id", orders), "x.y.z").Encode(), nil, "401 invalid_client",
		},
		"an application in other letters": {
			asForm, refreshing("/API/orders/", strings.Repeat("A", 64)).Encode(), nil, "401 invalid_client",
		},
		"an application without the slash": {
			asForm, refreshing("/api/orders", strings.Repeat("A", 64)).Encode(), nil, "401 invalid_client",
		},
		"an application with a way up": {
			asForm, refreshing("/api/x/../orders/", strings.Repeat("A", 64)).Encode(), nil, "401 invalid_client",
		},
	} {
		tries[name] = try
	}
	for name, try := range tries {
		b.attack(t, name, func(_ *testing.T, b *booth, _ *attempt) {
			b.from = newAddress()
			a := b.post(tokenPath, try.kind, try.body, try.header...)
			status, code, _ := strings.Cut(try.want, " ")
			n, _ := strconv.Atoi(status)
			b.failed(a, n, code)
			b.noPair(a)
		})
	}
	b.attack(t, "in the query", func(_ *testing.T, b *booth, _ *attempt) {
		for _, query := range []string{"?" + good, "?", "?grant_type=client_credentials" + post} {
			for _, path := range []string{tokenPath, introspectionPath, revocationPath} {
				b.failed(b.post(path+query, asForm, good, basic...), http.StatusBadRequest, "invalid_request")
			}
		}
	})
	b.attack(t, "by another method", func(t *testing.T, b *booth, _ *attempt) {
		for method := range strings.FieldsSeq("GET HEAD PUT PATCH DELETE OPTIONS TRACE QUERY post") {
			for _, path := range []string{tokenPath, introspectionPath, revocationPath} {
				a := b.raw(strings.Replace(b.formed(path, good, "Authorization: "+basic[1]), "POST", method, 1))
				if a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "POST" {
					t.Errorf("%s %s: status %d, %s", method, path, a.StatusCode, a.body)
				}
				b.nothingForwarded()
				b.neverCached(a)
			}
		}
	})
	b.works(b.tokenOf("billing"))
}

// manyParameters are so many parameters of different names.
func manyParameters(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "&p%d=1", i)
	}
	return text.String()
}

// formed is booth.posted for a form.
func (b *booth) formed(target, body string, fields ...string) string {
	return strings.Replace(b.posted(target, body, fields...), "Content-Type: "+asJSONBody, "Content-Type: "+asForm, 1)
}

// keepsClientSecrets wants neither the backend nor the log to have seen the secret of a client, as it is, in a form or
// in Basic.
func (b *booth) keepsClientSecrets() {
	b.t.Helper()
	b.nothingForwarded()
	log := b.log()
	basic := strings.TrimPrefix(secretOf("billing")[1], "Basic ")
	for _, secret := range []string{clientSecret[:12], url.QueryEscape(clientSecret)[:12], basic[12:]} {
		if strings.Contains(log, secret) {
			b.t.Errorf("the log has %q", secret)
		}
	}
}

// A client is set to another spelling of an address, and sends its secret there, where no gate stands between the
// issuer and the backend. The backend does not get it.
func TestAttackSecretsToMisspeltAddressesOfClients(t *testing.T) {
	b, ways := openBoothEverywhere(t, func(b *booth) []string { return []string{b.issuerWith(b.billing(), b.asker())} })
	good := asking("client_id", "billing", "client_secret", clientSecret).Encode()
	of := strings.NewReplacer("/api/orders", "/oauth2", "/API/orders", "/OAUTH2", "/api//orders", "//oauth2",
		"/%61pi/orders", "/%6fauth2", "/api%2forders", "/oauth2", "/api/x/..;/orders", "/x/..;/oauth2",
		"/..%2fapi/orders", "/..%2foauth2",
		"%6cogin", "%74oken", "%256cogin", "%2574oken", "LOGIN", "TOKEN", "Login", "Token", "log%c4%b1n", "TOKEN",
		"login", "token")
	for _, target := range spellingsOfLogin {
		target = of.Replace(target)
		if target == tokenPath {
			t.Fatal("the spelling is the right one")
		}
		b.attack(t, target, func(t *testing.T, b *booth, _ *attempt) {
			for _, method := range []string{"POST", "PUT", "GET"} {
				a := b.raw(strings.Replace(b.formed(target, good), "POST", method, 1))
				b.failed(a, http.StatusNotFound, "invalid_request")
			}
			b.failed(b.raw(b.formed(target, "", "Authorization: "+secretOf("billing")[1])), http.StatusNotFound,
				"invalid_request")
			b.keepsClientSecrets()
		})
	}
	for _, by := range framers(b.site, ways) {
		for _, target := range []string{"/OAUTH2/token", "/oauth2//token", "/oauth2/%74oken", "/oauth2/introspection/",
			"/oauth2/x/../revocation", "/oauth2/revocation;x"} {
			b.attack(t, target+" by "+by.name, func(t *testing.T, b *booth, a *attempt) {
				head := by.to("POST", target, [2]string{"content-type", asForm})
				if status := by.sendBody(a, good, head); status != "404" {
					t.Errorf("status %q", status)
				}
				b.keepsClientSecrets()
			})
		}
	}
	for _, way := range ways {
		at := b.by(way)
		if given := at.tokensIn(at.form(tokenPath, asking(), secretOf("billing")...)); given.Access == "" {
			t.Error("no token at the right address")
		}
	}
}

// Frames say more than one thing about the length of a body, or have credentials where a reader may miss them. No such
// request gets a token or ends one.
func TestAttackFramesAtTheAddressesOfClients(t *testing.T) {
	b, ways := openBoothEverywhere(t, func(b *booth) []string {
		return []string{b.issuerWith(b.billing(), b.asker()), localGate()}
	})
	token := b.tokenOf("billing")
	basic := secretOf("billing")[1]
	whole := formOf("client_id", "billing", "client_secret", clientSecret, "token", token).Encode()
	type field = [2]string
	length := func(n int) field { return field{"content-length", strconv.Itoa(n)} }
	for name, try := range map[string]struct {
		fields   []field
		body     string
		trailers []field
		want     string // one of these statuses; "-" for a stream that was ended instead
	}{
		"longer than it says":  {[]field{length(5)}, whole, nil, "400 401 -"},
		"two lengths":          {[]field{length(5), length(len(whole))}, whole, nil, "400 -"},
		"cut before the token": {[]field{length(strings.Index(whole, "&token"))}, whole, nil, "400 -"},
		"too large":            {nil, whole + "&x=" + strings.Repeat("a", 70_000), nil, "413"},
		"a secret in a trailer": {
			[]field{{"trailer", "authorization"}}, "token=" + token, []field{{"authorization", basic}}, "401 400 -",
		},
		"a type in a trailer": {
			[]field{{"trailer", "content-type"}, {"content-type", "text/plain"}}, whole,
			[]field{{"content-type", asForm}}, "415 400 -",
		},
		"Transfer-Encoding":      {[]field{{"transfer-encoding", "chunked"}}, whole, nil, "400 -"},
		"a secret in two places": {[]field{{"authorization", basic}}, whole, nil, "400"},
		"Basic twice": {
			[]field{{"authorization", basic}, {"authorization", basic}}, "token=" + token, nil, "400",
		},
		"a secret in two cookies": {
			[]field{{"cookie", "client_id=billing"}, {"cookie", "client_secret=x"}}, "token=" + token, nil, "401",
		},
	} {
		for _, by := range framers(b.site, ways) {
			b.attack(t, name+" by "+by.name, func(t *testing.T, b *booth, a *attempt) {
				a.secret(token)
				fields := try.fields
				if !strings.Contains(fmt.Sprint(fields), "content-type") {
					fields = append(fields, field{"content-type", asForm})
				}
				for _, path := range []string{tokenPath, introspectionPath, revocationPath} {
					status := by.sendBody(a, try.body, by.to("POST", path, fields...), try.trailers...)
					if status == "" {
						status = "-"
					}
					if !strings.Contains(" "+try.want+" ", " "+status+" ") {
						t.Errorf("%s: status %s, want %s", path, status, try.want)
					}
				}
				b.keepsClientSecrets()
				b.works(token)
			})
		}
	}
}

// Requests to all addresses come in one packet, and one of them hides another in its body. Each has its own answer, and
// what is hidden is no request.
func TestAttackRequestsThatHideInARequestOfAClient(t *testing.T) {
	b := openBoothForClients(t)
	basic := "Authorization: " + secretOf("billing")[1]
	last := "GET " + orders + "7 HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n"
	about := func(token string) string { return formOf("token", token).Encode() }
	b.attack(t, "all addresses in one packet", func(t *testing.T, b *booth, _ *attempt) {
		token := b.tokenOf("billing")
		answers := b.converses(b.formed(tokenPath, asking().Encode(), basic) + b.formed(tokenPath, asking().Encode()) +
			b.formed(revocationPath, about(token), basic) + b.formed(introspectionPath, about(token)) +
			b.formed("/oauth2//token", asking().Encode(), basic) + last)
		if got, want := statusesOf(answers), "200 401 200 401 404 401"; got != want {
			t.Errorf("statuses %s, want %s", got, want)
		}
		b.isOut(token, "revoked")
	})
	token := b.tokenOf("billing")
	hidden := b.formed(revocationPath, about(token), basic)
	body := asking().Encode()
	chunk := func(text string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(text), text) }
	for name, try := range map[string]struct{ text, want string }{
		"behind the form": {b.formed(tokenPath, body+"&x="+hidden, basic) + last, "200 401"},
		"in a parameter":  {b.formed(tokenPath, body+"&x="+url.QueryEscape(hidden), basic) + last, "200 401"},
		"in a chunk": {
			b.formed(tokenPath, chunk(body+"&x="+hidden), basic, "Transfer-Encoding: chunked") + last, "200 401",
		},
		"a length and a coding": {b.formed(tokenPath, chunk(body), basic, "Transfer-Encoding: chunked",
			fmt.Sprintf("Content-Length: %d", len(chunk(body)+last))) + last, "200 401"},
		"two lengths": {b.formed(tokenPath, body+hidden, basic, fmt.Sprintf("Content-Length: %d", len(body)),
			fmt.Sprintf("Content-Length: %d", len(body+hidden))) + last, "400"},
		"two codings": {b.formed(tokenPath, chunk(body)+hidden, basic, "Transfer-Encoding: chunked",
			"Transfer-Encoding: identity") + last, "501"},
		"a length with a sign": {
			b.formed(tokenPath, body+hidden, basic, fmt.Sprintf("Content-Length: +%d", len(body))) + last, "400",
		},
		"in a trailer": {b.formed(tokenPath, strings.TrimSuffix(chunk(body), "\r\n")+basic+"\r\n\r\n",
			"Transfer-Encoding: chunked", "Trailer: Authorization") + last, "401 401"},
	} {
		b.attack(t, name, func(t *testing.T, b *booth, a *attempt) {
			a.secret(token)
			if got := statusesOf(b.converses(try.text)); got != try.want {
				t.Errorf("statuses %s, want %s", got, try.want)
			}
			b.keepsClientSecrets()
			b.works(token)
		})
	}
}
