package caddyjwt

import (
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"

	"github.com/caddyjwt/gateway/internal/gate"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("bearer_auth", parseCaddyfile)
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	bearer_auth [<matcher>] {
//	    realm            <text>
//	    token_from       header <name> [<scheme>]   # repeatable
//	    token_from       query|cookie|form <name>   # repeatable
//	    max_token_size   <size>
//	    audience         <aud...>|any
//	    leeway           <duration>
//	    max_lifetime     <duration>
//
//	    issuer <iss> {                              # repeatable
//	        keys             discovery [<url>]
//	        keys             jwks <url>
//	        keys             file <path>
//	        keys             pem <text>
//	        keys             secret <value> [base64]
//	        keys             none
//	        audience         <aud...>|any
//	        algorithms       <alg...>
//	        type             <typ...>
//	        profile          rfc9068
//	        require          <claim...>
//	        max_lifetime     <duration>
//	        leeway           <duration>
//	        max_stale        <duration>
//	        key_use          sig|jwt-svid
//	        max_keys         <n>
//	        request_header   <name> <value>         # repeatable
//	        allow_link_local
//	        tls {
//	            ca           <file...>
//	            client_cert  <file>
//	            client_key   <file>
//	            server_name  <name>
//	            pin          <sha256...>
//	        }
//	        introspect [opaque|always] {
//	            verify           introspection|userinfo
//	            prefix           <text>
//	            endpoint         <url>
//	            client_id        <id>
//	            client_secret    <secret>
//	            auth_method      <method>
//	            private_key      <pem|file> [<kid>]
//	            bearer_token     <token>
//	            raw_basic
//	            signed
//	            param            <name> <value>     # repeatable
//	            token_type_hint  <hint>|off
//	            cache_ttl        <duration>
//	            negative_ttl     <duration>
//	            timeout          <duration>
//	            max_in_flight    <n>
//	        }
//	    }
//
//	    consumer <username> {                       # repeatable
//	        id         <id>
//	        custom_id  <id>
//	        groups     <group...>
//	        credential <key> {                      # repeatable
//	            algorithm   <alg>
//	            public_key  <pem|file>
//	            secret      <value> [base64]
//	        }
//	    }
//	    key_claim        <claim>
//
//	    require          scope <scope...>           # repeatable
//	    require          claim <path> [<value...>]  # repeatable
//	    require          group <group...>           # repeatable
//	    introspect       [force|skip] [max_age <duration>]
//
//	    forward_claim    <path> <header>            # repeatable
//	    forward_token
//	    optional
//	    anonymous        <username>
//	    allow_preflight
//	    cache            <size>|off
//	}
//
// A word that is not marked repeatable may be given once.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	return h.unmarshal(newBlock(d))
}

func (h *Handler) unmarshal(b *block) error {
	start := *b.d
	if b.d.NextArg() {
		return b.d.Errf("bearer_auth takes its settings in a block, not as arguments: %q", b.d.Val())
	}
	if err := h.unmarshalBlock(b); err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return b.blame(start, err, func(again *block) error { return new(Handler).unmarshal(again) })
	}
	return nil
}

func (h *Handler) unmarshalBlock(b *block) error {
	return b.each("bearer_auth", func(word string) error {
		switch word {
		case "realm":
			return b.text(&h.Realm)
		case "token_from":
			return b.tokenPlace(&h.TokenFrom)
		case "max_token_size":
			return b.tokenSize(&h.MaxTokenSize)
		case "audience":
			return b.audience(&h.Audience, &h.AnyAudience)
		case "leeway":
			return b.leeway(&h.Leeway)
		case "max_lifetime":
			return b.duration(&h.MaxLifetime)
		case "issuer":
			return b.issuer(&h.Issuers)
		case "consumer":
			return b.consumer(&h.Consumers)
		case "key_claim":
			return b.plain(&h.KeyClaim)
		case "require":
			if h.Require == nil {
				h.Require = new(Requirements)
			}
			return b.require(h.Require)
		case "introspect":
			h.Introspect = new(RouteIntrospect)
			return b.routeIntrospect(h.Introspect)
		case "forward_claim":
			return b.forwardClaim(&h.ForwardClaims)
		case "forward_token":
			return b.flag(&h.ForwardToken)
		case "optional":
			return b.flag(&h.Optional)
		case "anonymous":
			return b.text(&h.Anonymous)
		case "allow_preflight":
			return b.flag(&h.AllowPreflight)
		case "cache":
			return b.cacheSize(&h.CacheSize)
		default:
			return b.unknown()
		}
	})
}

// check tries everything that can be tried without the network, so that a mistake is reported with its line.
func (h *Handler) check() error {
	_, err := h.offline(time.Now)
	return err
}

func (b *block) tokenPlace(places *[]TokenPlace) error {
	args := b.d.RemainingArgs()
	if err := b.mistakenPlace(args); err != nil {
		return err
	}
	if len(args) < 2 || len(args) > 3 || (len(args) == 3 && args[0] != "header") {
		return b.d.Err("expected: token_from header <name> [<scheme>], or: token_from query|cookie|form <name>")
	}
	place := TokenPlace{In: args[0], Name: args[1]}
	if len(args) == 3 {
		place.Scheme = args[2]
	}
	*places = append(*places, place)
	if _, err := place.compile(); err != nil {
		return b.at(err)
	}
	return nil
}

func (b *block) tokenSize(size *int) error {
	var text string
	if err := b.text(&text); err != nil {
		return err
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > 1<<20 {
		return b.d.Errf("max_token_size %q: expected a size from 1 to 1MiB, such as 16KiB", text)
	}
	*size = int(n)
	return nil
}

func (b *block) cacheSize(size *int64) error {
	var text string
	if err := b.text(&text); err != nil {
		return err
	}
	if text == "off" {
		*size = -1
		return nil
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > 1<<40 {
		return b.d.Errf("cache %q: expected a size such as 32MiB, or off", text)
	}
	*size = int64(n)
	return b.at(gate.ValidateCacheSize(*size))
}

func (b *block) require(r *Requirements) error {
	args := b.d.RemainingArgs()
	if len(args) < 2 {
		return b.d.Err("expected: require scope <scope...>, require claim <path> [<value...>], or require group <group...>")
	}
	if err := b.mistakenRequirement(args[0], args[1:]); err != nil {
		return err
	}
	switch kind, args := args[0], args[1:]; kind {
	case "scope":
		r.Scopes = append(r.Scopes, args...)
	case "claim":
		claim := ClaimRequirement{Claim: args[0]}
		if len(args) > 1 {
			claim.Values = args[1:]
		}
		r.Claims = append(r.Claims, claim)
	case "group":
		r.Groups = append(r.Groups, args...)
	default:
		return b.unknownRequirement(kind)
	}
	compiled, err := r.compile(caddy.NewReplacer())
	if err == nil {
		err = compiled.Validate()
	}
	return b.at(err)
}

func (b *block) routeIntrospect(r *RouteIntrospect) error {
	args := b.d.RemainingArgs()
	if len(args) > 0 && (args[0] == "force" || args[0] == "skip") {
		r.Mode, args = args[0], args[1:]
	}
	switch {
	case len(args) == 2 && args[0] == "max_age":
		age, err := caddy.ParseDuration(args[1])
		if err != nil || age < 0 {
			return b.d.Errf("introspect max_age %q: expected a duration such as 10s", args[1])
		}
		r.MaxAge = (*caddy.Duration)(&age)
	case len(args) != 0 || r.Mode == "":
		return b.d.Err("expected: introspect [force|skip] [max_age <duration>]; " +
			"who is asked, and how, stands in an issuer block")
	}
	return nil
}

func (b *block) forwardClaim(list *[]ForwardClaim) error {
	args := b.d.RemainingArgs()
	if len(args) != 2 {
		return b.d.Err("expected: forward_claim <path> <Header-Name>")
	}
	if err := b.reversed(args[0], args[1]); err != nil {
		return err
	}
	if err := b.mistaken("forward_claim", args[0]); err != nil {
		return err
	}
	claim := ForwardClaim{Claim: args[0], Header: args[1]}
	*list = append(*list, claim)
	compiled, err := claim.compile()
	if err == nil {
		err = compiled.Validate()
	}
	return b.at(err)
}
