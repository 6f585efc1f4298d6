package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"
)

func (b *block) issuer(issuers *[]Issuer) error {
	var issuer Issuer
	if err := b.text(&issuer.Issuer); err != nil {
		return err
	}
	line := *b.d
	err := b.each("issuer", `keys audience algorithms type profile require max_lifetime leeway max_stale request_header*
		allow_link_local tls introspect`, func(word string) error {
		switch word {
		case "keys":
			issuer.Keys = new(Keys)
			return b.keys(issuer.Keys)
		case "audience":
			return b.audience(&issuer.Audience, &issuer.AnyAudience)
		case "algorithms":
			return b.texts(&issuer.Algorithms)
		case "type":
			return b.texts(&issuer.Types)
		case "profile":
			return b.text(&issuer.Profile)
		case "require":
			return b.texts(&issuer.Require)
		case "max_lifetime":
			return b.duration(&issuer.MaxLifetime)
		case "leeway":
			return b.leeway(&issuer.Leeway)
		case "max_stale":
			return b.duration(&issuer.MaxStale)
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
		return line.WrapErr(err)
	}
	*issuers = append(*issuers, issuer)
	return nil
}

func (b *block) keys(keys *Keys) error {
	args := b.d.RemainingArgs()
	if len(args) == 0 {
		return b.d.Err("expected: keys discovery [<url>], jwks <url>, file <path>, pem <text>, secret <value> [base64], or none")
	}
	keys.Source = args[0]
	least, most := 2, 2
	switch keys.Source {
	case "discovery":
		least = 1
	case "jwks", "file", "pem":
	case "secret":
		most = 3
	case "none":
		least, most = 1, 1
	default:
		return b.d.Errf("keys %q: expected discovery, jwks, file, pem, secret or none", keys.Source)
	}
	if len(args) < least || len(args) > most {
		return b.d.Errf("keys %s takes %d to %d values, not %d", keys.Source, least-1, most-1, len(args)-1)
	}
	if len(args) == 1 {
		return nil
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
	if len(args) == 3 {
		if args[2] != "base64" {
			return b.d.Err("expected: keys secret <value> [base64]; a value with blanks in it is put in quotes")
		}
		keys.Base64 = true
	}
	return nil
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
	return b.each("tls", "ca client_cert client_key server_name pin", func(word string) error {
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
	} else if len(args) == 1 {
		i.Mode = args[0]
	}
	return b.each("introspect", `verify prefix endpoint client_id client_secret auth_method private_key bearer_token raw_basic
		signed param* token_type_hint cache_ttl negative_ttl timeout max_in_flight`, func(word string) error {
		switch word {
		case "verify":
			return b.text(&i.Verify)
		case "prefix":
			return b.text(&i.Prefix)
		case "endpoint":
			return b.text(&i.Endpoint)
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
