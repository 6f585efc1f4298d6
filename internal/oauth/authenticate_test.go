package oauth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/internal/users/attempts"
)

// byForm is a request of a client whose parameters are all in the form.
func byForm(pairs ...string) *oauth.Request {
	return ask(append([]string{"grant_type", "client_credentials"}, pairs...)...)
}

// connected adds a certificate of the connection.
func connected(q *oauth.Request, by clients.Presented) *oauth.Request {
	q.Certificate = by
	return q
}

// raw adds an Authorization field as it is.
func raw(q *oauth.Request, fields ...string) *oauth.Request {
	q.HTTP.Header["Authorization"] = fields
	return q
}

func encoded(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

// certified is a certificate with a DNS name, of an authority that the server trusts or does not.
func certified(tb testing.TB, name string, trusted bool) clients.Presented {
	tb.Helper()
	server := tokentest.NewAuthority(tb, "ca").Certify(tb, "x", tokentest.NewKey(tb, "ES256", "c"), alternative(name))
	return clients.Presented{Certificate: server.Certificate, Verified: trusted}
}

// RFC 6749 section 2.3, RFC 7523 section 2.2 and RFC 8705 section 2: each client in its way.
func TestAClientShowsWhoItIs(t *testing.T) {
	h := newHouse(t)
	for name, c := range map[string]struct {
		q  *oauth.Request
		id string
	}{
		"client_secret_basic":      {own("batch", secret), "batch"},
		"client_secret_post":       {byForm("client_id", "batch", "client_secret", secret), "batch"},
		"Basic and its client_id":  {own("batch", secret, "client_id", "batch"), "batch"},
		"Basic, encoded as a form": {own(oddID, oddSecret), oddID},
		"encoded more than needed": {raw(byForm(), encoded("%62atch:%73%33cret")), "batch"},
		"the same in the form":     {byForm("client_id", oddID, "client_secret", oddSecret), oddID},
		"the old secret":           {own("changing", "old"), "changing"},
		"the new secret":           {own("changing", "new"), "changing"},
		"private_key_jwt":          {signed(h.assert(t, signerKeys(t)[0], "signer", nil)), "signer"},
		"by RSA":                   {signed(h.assert(t, signerKeys(t)[1], "signer", nil)), "signer"},
		"by Ed25519":               {signed(h.assert(t, signerKeys(t)[2], "signer", nil)), "signer"},
		"and its client_id":        {signed(h.assert(t, signerKeys(t)[0], "signer", nil), "client_id", "signer"), "signer"},
		"tls_client_auth":          {connected(byForm("client_id", "mtls"), certified(t, "mtls.example", true)), "mtls"},
		"another scheme besides":   {raw(byForm("client_id", "batch", "client_secret", secret), "Bearer x"), "batch"},
		"a secret left out": {connected(byForm("client_id", "mtls", "client_secret", ""), certified(t,
			"mtls.example", true)), "mtls"},
		"a needless certificate": {connected(own("batch", secret), certified(t, "x", false)), "batch"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := says(t, h.gives(t, c.q).Access)["client_id"]; got != c.id || c.q.Client.ID != c.id {
				t.Errorf("it is %v, want %s", got, c.id)
			}
		})
	}
}

func TestClientsThatHaveNotShownWhoTheyAre(t *testing.T) {
	h := newHouse(t)
	good := func() string { return h.assert(t, signerKeys(t)[0], "signer", nil) }
	for name, c := range map[string]struct {
		q      *oauth.Request
		status int // 401 is invalid_client, and 400 invalid_request
		text   string
	}{
		"nothing":               {byForm(), 401, "names no client"},
		"an empty id":           {byForm("client_id", ""), 401, "names no client"},
		"an id alone":           {byForm("client_id", "batch"), 401, "has shown nothing"},
		"an unknown id":         {byForm("client_id", "nobody"), 401, "does not exist"},
		"a signer's id alone":   {byForm("client_id", "signer"), 401, "has shown nothing"},
		"an empty secret":       {byForm("client_id", "batch", "client_secret", ""), 401, "has shown nothing"},
		"a wrong one":           {byForm("client_id", "batch", "client_secret", "x"), 401, "another secret"},
		"of another client":     {own("changing", secret), 401, "another secret"},
		"one that is not known": {own("nobody", secret), 401, "no such client"},
		"a hash":                {own("batch", hash(t, secret)), 401, "another secret"},
		"a secret of a signer":  {own("signer", secret), 401, "no such client"},
		"a secret by mtls": {connected(own("mtls", secret), certified(t, "mtls.example", true)), 401,
			"no such client"},
		"a secret of nobody":      {byForm("client_secret", secret), 400, "without client_id"},
		"an empty secret, Basic":  {own("batch", ""), 401, "empty"},
		"public by Basic":         {raw(byForm(), encoded("%2Fshop%2F:")), 401, "empty"},
		"no id in Basic":          {own("", secret), 400, "without client_id"},
		"not encoded":             {raw(byForm(), encoded("batch:50%")), 400, "%25"},
		"an id that is not":       {raw(byForm(), encoded("50%:"+secret)), 400, "%25"},
		"a plus that is no blank": {raw(byForm(), encoded("odd%3Aid++%25%26%3D:x")), 401, "another secret"},
		"no base64":               {raw(byForm(), "Basic batch:s"), 400, "base64"},
		"no colon":                {raw(byForm(), encoded("batch")), 400, "user:password"},
		"not UTF-8":               {raw(byForm(), encoded("batch:\xff")), 400, "UTF-8"},
		"Basic twice": {raw(byForm(), encoded("batch:"+secret), encoded("batch:"+secret)), 400,
			"two Authorization"},
		"another id in the form": {own("batch", secret, "client_id", "two"), 400, "another one than in Basic"},
		"Basic and post":         {own("batch", secret, "client_id", "batch", "client_secret", secret), 400, "two ways"},
		"Basic and an assertion": {basic(signed(good()), "signer", secret), 400, "two ways"},
		"post and an assertion":  {signed(good(), "client_id", "signer", "client_secret", secret), 400, "two ways"},
		"no assertion_type":      {byForm("client_assertion", good()), 400, assertionType},
		"another one": {byForm("client_assertion", good(), "client_assertion_type",
			"urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), 401, assertionType},
		"no assertion":          {byForm("client_assertion_type", assertionType), 400, assertionType},
		"nor one besides Basic": {own("batch", secret, "client_assertion_type", assertionType), 400, assertionType},
		"another id":            {signed(good(), "client_id", "batch"), 401, "the form has another client_id"},
		"no certificate":        {byForm("client_id", "mtls"), 401, "no client certificate"},
		"another certificate":   {connected(byForm("client_id", "mtls"), certified(t, "x", true)), 401, "DNS name"},
		"of another authority": {connected(byForm("client_id", "mtls"), certified(t, "mtls.example", false)), 401,
			"client_auth"},
		"a certificate of batch": {connected(byForm("client_id", "batch"), certified(t, "mtls.example", true)), 401,
			"shown nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			code := issuing.InvalidClient
			if c.status == 400 {
				code = issuing.InvalidRequest
			}
			h.refuses(t, c.q, c.status, code, c.text)
			if c.q.Client != nil {
				t.Errorf("the client is %s", c.q.Client.ID)
			}
		})
	}
}

// All who have not shown who they are get one answer.
func TestAttackAnswersDoNotTellWhichClientsThereAre(t *testing.T) {
	h := newHouse(t)
	texts := make(map[string]bool)
	for _, q := range []*oauth.Request{
		own("batch", "wrong"), own("nobody", "wrong"), own("signer", "wrong"), own(shop, "wrong"), byForm("client_id",
			"batch"),
		byForm("client_id", "nobody"), byForm("client_id", "mtls"), signed(h.assert(t, signerKeys(t)[0], "nobody", nil)),
		signed(h.assert(t, signerKeys(t)[0], "batch", nil)), signed(h.assert(t, signerKeys(t)[0], "other-signer", nil)),
		signed("x"), own("batch", ""),
	} {
		_, err := h.Token(q)
		failure, is := errors.AsType[*issuing.Failure](err)
		if !is || failure.Status != 401 || failure.Code != issuing.InvalidClient {
			t.Fatalf("%v", err)
		}
		texts[failure.Text] = true
	}
	if len(texts) != 1 {
		t.Errorf("%v", texts)
	}
}

// Whoever guesses secrets has to wait. Clients whose secret has matched before do not.
func TestAttackGuessedSecretsOfClients(t *testing.T) {
	var guard *attempts.Guard
	h := newHouse(t, func(h *house) {
		var err error
		guard, err = attempts.New(attempts.Config{Burst: 10, Every: time.Hour})
		must(t, &err)
		h.options.Try = guard.Do
	})
	h.gives(t, own("two", secret, "resource", api))
	guesses, limited := 0, (*attempts.Limited)(nil)
	for range 50 {
		_, err := h.Token(own("batch", "wrong"))
		if is := errors.As(err, &limited); is {
			break
		}
		wants(t, err, 401, issuing.InvalidClient, "")
		guesses++
	}
	if guesses == 0 || guesses > 10 || limited == nil || limited.RetryAfter <= 0 {
		t.Fatalf("%d guesses, and then %v", guesses, limited)
	}
	if _, err := h.Token(own("batch", secret)); !errors.As(err, &limited) {
		t.Errorf("the right one comes from the same address: %v", err)
	}
	h.gives(t, own("two", secret, "resource", api))
	elsewhere := own("batch", secret)
	elsewhere.From = netip.MustParseAddr("198.51.100.7")
	h.gives(t, elsewhere)
	// Nothing counts against a user of the same name at this address.
	other := guard.Do(t.Context(), netip.MustParseAddr("198.51.100.8"), "batch", func() (bool, error) { return true, nil })
	if other != nil {
		t.Error(other)
	}
}

// A client that hangs up before its turn has no answer.
func TestAClientThatLeaves(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q := own("batch", secret)
	q.HTTP = q.HTTP.WithContext(ctx)
	if tokens, err := h.Token(q); !errors.Is(err, context.Canceled) || tokens != nil {
		t.Errorf("%+v, %v", tokens, err)
	}
}

func TestClientsThatComeAndGo(t *testing.T) {
	h := newHouse(t)
	token := h.gives(t, own("batch", secret)).Access
	if !isActive(t, h, token) {
		t.Fatal("the token is not active")
	}
	all := registered(t)
	h.setClients(t, all[1:]...)
	h.refuses(t, own("batch", secret), 401, issuing.InvalidClient, "no such client")
	if isActive(t, h, token) {
		t.Error("the token of a removed client is active")
	}
	h.setClients(t, all...)
	h.gives(t, own("batch", secret))
}

// The log may have who it was, and must not have more of what strangers send than it needs.
func TestCausesAreShort(t *testing.T) {
	h := newHouse(t)
	for _, q := range []*oauth.Request{
		byForm("client_id", strings.Repeat("x", 60_000)), own(strings.Repeat("x", 30_000), secret),
		signed(h.assert(t, signerKeys(t)[0], strings.Repeat("x", 30_000), nil)),
		signed(h.assert(t, signerKeys(t)[0], "signer", m{"aud": strings.Repeat("x", 30_000)})),
	} {
		if _, err := h.Token(q); err == nil || len(err.Error()) > 700 {
			t.Errorf("an error of %d bytes: %.300v", len(err.Error()), err)
		}
	}
}

// People send the secret as the client_id and the id as the secret. The log must not have it.
func TestNoSecretIsInTheErrorOfAnUnknownClient(t *testing.T) {
	h := newHouse(t)
	for name, q := range map[string]*oauth.Request{
		"by Basic":   own("SECRET", "batch"),
		"in a form":  byForm("client_id", "SECRET", "client_secret", "batch"),
		"a wrong id": byForm("client_id", "batsch", "client_secret", "SECRET"),
	} {
		if _, err := h.Token(q); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
