package issuers

import (
	"net/url"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// Values of Issuer.AllowHTTP.
const (
	httpPrivate = "private"
	httpShared  = "shared"
)

// readAllowHTTP reads the word alone, or with "shared".
func readAllowHTTP(b *words.Block, issuer *Issuer) error {
	switch args := b.Args(); {
	case len(args) == 0:
		issuer.AllowHTTP = httpPrivate
	case len(args) == 1 && args[0] == httpShared:
		issuer.AllowHTTP = httpShared
	default:
		return b.WrongUsage("which addresses it allows follows from the word; none can be named")
	}
	return nil
}

// plainHTTP is how far requests to the issuer's server may go without TLS.
func (i *Issuer) plainHTTP() (fetch.PlainHTTP, error) {
	switch i.AllowHTTP {
	case "":
		return fetch.LoopbackHTTP, nil
	case httpPrivate:
		return fetch.PrivateHTTP, nil
	case httpShared:
		return fetch.SharedHTTP, nil
	}
	return 0, setting.Errorf("AllowHTTP", "allow_http %q: expected %s or %s", i.AllowHTTP, httpPrivate, httpShared)
}

// checkPlainHTTP refuses allow_http when every address has https: then no request ever goes without TLS, since metadata
// that came by https cannot lead to http.
func (i *Issuer) checkPlainHTTP(plan *Plan) error {
	if i.AllowHTTP == "" {
		return nil
	}
	at, known := plan.plainAddresses()
	if i.Introspect != nil && i.Introspect.Endpoint != "" && plan.Asking.Client.Endpoint == "" {
		known = false // it is left out while it is not known
	}
	if len(at.keys)+len(at.asking) == 0 && known {
		return setting.Errorf("AllowHTTP", "allow_http is for addresses that begin with http://, and this issuer has none: "+
			"remove it")
	}
	return nil
}

// plainAddresses are addresses that are used without TLS.
type plainAddresses struct{ keys, asking []string }

// plainAddresses finds them in the configuration. known is false while one of the addresses is not known.
func (p *Plan) plainAddresses() (at plainAddresses, known bool) {
	known = true
	add := func(list *[]string, address string) {
		u, err := url.Parse(address)
		switch {
		case address == "" || strings.Contains(address, "{") || err != nil:
			known = false
		case strings.EqualFold(u.Scheme, "http") && !slices.Contains(*list, u.Host):
			*list = append(*list, u.Host)
		}
	}
	for n := range p.Sources {
		switch source := &p.Sources[n]; {
		case source.Kind() == "jwks":
			add(&at.keys, source.URL)
		case source.Fetched():
			add(&at.keys, p.Server.metadataAddress())
		}
	}
	switch {
	case p.Asking == nil:
	case p.Asking.Client.Endpoint == "":
		add(&at.asking, p.Server.metadataAddress())
	default:
		add(&at.asking, p.Asking.Client.Endpoint)
	}
	return at, known
}

// PlainHTTP says how far requests may go without TLS, in the words of the Caddyfile: "allow_http", "allow_http shared",
// or "" for no further than this machine.
func (p *Plan) PlainHTTP() string {
	switch p.Server.Fetch.Plain {
	case fetch.PrivateHTTP:
		return "allow_http"
	case fetch.SharedHTTP:
		return "allow_http shared"
	case fetch.LoopbackHTTP:
	}
	return ""
}

// PlainHTTPWarning says what can be seen and changed on the way to the server. It is "" without allow_http, and for a
// part of an issuer that sends nothing without TLS.
func (p *Plan) PlainHTTPWarning() string {
	word := p.PlainHTTP()
	if word == "" {
		return ""
	}
	at, _ := p.plainAddresses()
	if len(at.keys)+len(at.asking) == 0 {
		return ""
	}
	var seen, done []string
	if len(at.keys) > 0 {
		if len(p.Server.Fetch.Header)+len(p.Server.Fetch.Rotating) > 0 {
			seen = append(seen, "header_up")
		}
		done = append(done, "sign tokens with keys put into the answers")
	}
	if len(at.asking) > 0 {
		seen = append(append(seen, p.Asking.sentSecret()...), "the tokens that are asked about")
		// A signed answer of UserInfo names no token and need not have a date, so it can be replayed.
		replayed := p.Asking.Client.Mode == introspect.UserInfo
		if !p.Asking.Client.Signed || replayed || len(at.keys) > 0 {
			done = append(done, "call any token active")
		}
	}
	can := make([]string, 0, 2)
	if len(seen) > 0 {
		can = append(can, "can read "+and(seen))
	}
	if len(done) > 0 {
		can = append(can, "can "+and(done))
	}
	hosts := slices.Concat(at.keys, at.asking)
	slices.Sort(hosts)
	return word + ": requests to " + and(slices.Compact(hosts)) + " go without TLS: whoever is on the way " +
		strings.Join(can, ", and ") + "; use https, or keep others out of that network"
}

// sentSecret is the word for the secret that is sent with each question. An assertion is no such secret: it ends soon.
func (p *Asking) sentSecret() []string {
	client := &p.Client
	switch {
	case client.BearerToken != "":
		return []string{"bearer_token"}
	case client.ClientSecret != "" && client.AuthMethod != introspect.ClientSecretJWT && client.AssertionAlg == "":
		return []string{"client_secret"}
	}
	return nil
}

// and joins texts as in a sentence.
func and(texts []string) string {
	if len(texts) < 2 {
		return strings.Join(texts, "")
	}
	last := len(texts) - 1
	return strings.Join(texts[:last], ", ") + " and " + texts[last]
}
