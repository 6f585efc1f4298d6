package caddyjwt

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
)

func (b *block) issuer(issuers *[]Issuer) error {
	var issuer Issuer
	start := *b.d
	if err := b.plain(&issuer.Issuer); err != nil {
		return err
	}
	err := b.each("issuer", func(word string) error {
		switch word {
		case "keys":
			issuer.Keys = new(Keys)
			return b.keys(issuer.Keys)
		case "audience":
			return b.audience(&issuer.Audience, &issuer.AnyAudience)
		case "algorithms":
			return b.plains(&issuer.Algorithms)
		case "type":
			return b.plains(&issuer.Types)
		case "profile":
			return b.text(&issuer.Profile)
		case "require":
			return b.requiredClaims(&issuer.Require)
		case "max_lifetime":
			return b.duration(&issuer.MaxLifetime)
		case "leeway":
			return b.leeway(&issuer.Leeway)
		case "max_stale":
			return b.duration(&issuer.MaxStale)
		case "key_use":
			return b.text(&issuer.KeyUse)
		case "max_keys":
			return b.number(&issuer.MaxKeys)
		case "request_header":
			return b.requestHeader(&issuer)
		case "allow_link_local":
			return b.flag(&issuer.AllowLinkLocal)
		case "tls":
			issuer.TLS = new(TLS)
			return b.tls(issuer.TLS)
		case "introspect":
			issuer.Introspect = new(Introspect)
			return b.introspect(issuer.Introspect)
		default:
			return b.unknown()
		}
	})
	if err != nil {
		return err
	}
	if _, err := issuer.compile(caddy.NewReplacer(), 0); err != nil {
		return b.blame(start, err, func(again *block) error { return again.issuer(new([]Issuer)) })
	}
	*issuers = append(*issuers, issuer)
	return nil
}

// keysUsage is what may follow the word keys: the source, and how to write it.
var keysUsage = []struct{ source, usage string }{
	{"discovery", "keys discovery [<url>]"},
	{"jwks", "keys jwks <url>"},
	{"file", "keys file <path>"},
	{"pem", "keys pem <text>, or keys pem {file./path}; a value with blanks in it is put in quotes"},
	{"secret", "keys secret <value> [base64]; a value with blanks in it is put in quotes, and an unset variable is none"},
	{"none", "keys none"},
}

func (b *block) keys(keys *Keys) error {
	args := b.d.RemainingArgs()
	if len(args) == 0 {
		return b.d.Err("expected: keys discovery [<url>], jwks <url>, file <path>, pem <text>, secret <value> [base64], or none")
	}
	usage := ""
	for _, known := range keysUsage {
		if known.source == args[0] {
			usage = known.usage
		}
	}
	if usage == "" {
		// Not quoted: it may be a secret.
		return b.d.Err("keys is followed by the source: discovery, jwks, file, pem, secret or none")
	}
	least, most := 2, 2
	switch args[0] {
	case "discovery":
		least = 1
	case "secret":
		most = 3
	case "none":
		least, most = 1, 1
	}
	if len(args) < least || len(args) > most || len(args) == 3 && args[2] != "base64" {
		// Not quoted: what is too much may be the second half of a secret with a blank in it.
		return b.d.Err("expected: " + usage)
	}
	keys.Source, keys.Base64 = args[0], len(args) == 3
	if len(args) == 1 {
		return nil
	}
	if strings.TrimSpace(args[1]) == "" {
		return b.d.Errf("keys %s: the value is empty; is an environment variable unset?", args[0])
	}
	switch value := args[1]; keys.Source {
	case "discovery", "jwks":
		keys.URL = value
	case "file":
		keys.Path = value
	case "pem":
		keys.PEM = value
	case "secret":
		keys.Secret = value
	}
	return b.mistakenKeys(keys)
}

// requiredClaims reads names of claims. What a route requires is another word, of the same name in the block around this
// one: written here it would ask for claims with the names "scope" and "orders:read".
func (b *block) requiredClaims(list *[]string) error {
	if err := b.texts(list); err != nil {
		return err
	}
	switch first := (*list)[0]; first {
	case "scope", "claim", "group":
		if len(*list) > 1 {
			return b.d.Errf("issuer: require names claims that must be there; \"require %s …\" of the route stands outside of "+
				"the issuer block (if a claim with the name %q is meant, name it last)", first, first)
		}
	}
	return b.mistaken("require", *list...)
}

func (b *block) requestHeader(issuer *Issuer) error {
	args := b.d.RemainingArgs()
	if len(args) != 2 {
		return b.d.Err("expected: request_header <name> <value>")
	}
	if issuer.RequestHeaders == nil {
		issuer.RequestHeaders = make(map[string][]string)
	}
	issuer.RequestHeaders[args[0]] = append(issuer.RequestHeaders[args[0]], args[1])
	return nil
}

func (b *block) tls(t *TLS) error {
	if b.d.NextArg() {
		return b.d.Err("tls takes its settings in a block")
	}
	return b.each("tls", func(word string) error {
		switch word {
		case "ca":
			return b.texts(&t.CA)
		case "client_cert":
			return b.text(&t.ClientCert)
		case "client_key":
			return b.text(&t.ClientKey)
		case "server_name":
			return b.text(&t.ServerName)
		case "pin":
			return b.texts(&t.Pins)
		default:
			return b.unknown()
		}
	})
}

func (b *block) introspect(i *Introspect) error {
	if args := b.d.RemainingArgs(); len(args) > 1 {
		return b.d.Err("expected: introspect [opaque|always] { … }")
	} else if len(args) == 1 && strings.Contains(args[0], "://") {
		return b.d.Err("introspect is followed by opaque or always; the address stands in its block: endpoint <url>")
	} else if len(args) == 1 {
		i.Mode = args[0]
	}
	return b.each("introspect", func(word string) error {
		switch word {
		case "verify":
			return b.text(&i.Verify)
		case "prefix":
			return b.plain(&i.Prefix)
		case "endpoint":
			return b.endpoint(&i.Endpoint)
		case "client_id":
			return b.text(&i.ClientID)
		case "client_secret":
			return b.text(&i.ClientSecret)
		case "auth_method":
			return b.text(&i.AuthMethod)
		case "private_key":
			return b.privateKey(i)
		case "bearer_token":
			return b.text(&i.BearerToken)
		case "raw_basic":
			return b.flag(&i.RawBasic)
		case "signed":
			return b.flag(&i.Signed)
		case "param":
			return b.param(&i.Params)
		case "token_type_hint":
			return b.text(&i.TokenTypeHint)
		case "cache_ttl":
			return b.optionalDuration(&i.CacheTTL)
		case "negative_ttl":
			return b.optionalDuration(&i.NegativeTTL)
		case "timeout":
			return b.duration(&i.Timeout)
		case "max_in_flight":
			return b.number(&i.MaxInFlight)
		default:
			return b.unknown()
		}
	})
}

func (b *block) privateKey(i *Introspect) error {
	args := b.d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 || args[0] == "" {
		return b.d.Err("expected: private_key <pem|file> [<kid>]")
	}
	i.PrivateKey = args[0]
	if len(args) == 2 {
		i.KeyID = args[1]
	}
	return nil
}

func (b *block) param(params *[]Param) error {
	args := b.d.RemainingArgs()
	if len(args) != 2 {
		return b.d.Err("expected: param <name> <value>")
	}
	*params = append(*params, Param{Name: args[0], Value: args[1]})
	return nil
}
