package caddyjwt

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	httpcaddyfile.RegisterDirective("bearer_auth", parseCaddyfile)
}

// parseCaddyfile makes the route of a gate. Before it are the routes of what the gate tells and hears beside that: the
// metadata of its resource, and logouts.
func parseCaddyfile(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next()                              // the directive
	matcher, err := h.ExtractMatcherSet() // begins anew
	if err != nil {
		return nil, err
	}
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return slices.Concat(documentRoutes(h, handler), logoutRoutes(h, handler), h.NewRoute(matcher, handler)), nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	bearer_auth [<matcher>] [<issuer> <audience>] {
//	    name                  <name>
//	    realm                 <text>
//	    token_from            header <name> [<scheme>]               # repeatable
//	    token_from            query|cookie|form <name>               # repeatable
//	    token_from            websocket_protocol [<marker>]          # repeatable
//	    max_token_size        <size>
//	    audience              <aud...>|any
//	    leeway                <duration>
//	    max_lifetime          <duration>
//	    resource <url> {
//	        name           <text>
//	        documentation  <url>
//	        policy         <url>
//	        tos            <url>
//	        scopes         <scope...>
//	    }
//	    auth_server_metadata  proxy|redirect [<issuer>]
//
//	    issuer <iss> {                                               # repeatable
//	        keys              discovery [<url>]         # repeatable
//	        keys              jwks <url>                # repeatable
//	        keys              file <path>               # repeatable
//	        keys              pem <text>                # repeatable
//	        keys              secret <value> [base64]   # repeatable
//	        keys              local                     # repeatable
//	        keys              none                      # repeatable
//	        keys ... {                                  # repeatable
//	            ca  <file...>
//	        }
//	        tenants           <value...>|any|file <path>
//	        audience          <aud...>|any
//	        algorithms        <alg...>
//	        type              <typ...>
//	        profile           rfc9068
//	        required_claims   <claim...>
//	        max_lifetime      <duration>
//	        tolerate          <what...>
//	        group_claim       <path...>
//	        consumer_claim    <path> [custom_id]
//	        username_claim    <path>
//	        revocation        off
//	        revocation        claim <path...>
//	        backchannel_logout <path> {
//	            client_id    <id...>
//	            without_sid  ignore|sub
//	        }
//	        leeway            <duration>
//	        max_stale         <duration>
//	        key_use           sig|jwt-svid
//	        max_keys          <n>
//	        header_up         <name> <value>            # repeatable
//	        allow_link_local
//	        allow_http        [shared]
//	        prefetch
//	        decrypt {
//	            key <pem|file> [<kid>] {   # repeatable
//	                password  <text>
//	            }
//	            algorithms   <alg...>
//	            encryptions  <enc...>
//	            required
//	        }
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
//	            private_key <pem|file> [<kid>] {
//	                password  <text>
//	            }
//	            assertion_alg    <alg>
//	            bearer_token     <token>
//	            raw_basic
//	            signed
//	            param            <name> <value>   # repeatable
//	            token_type_hint  <hint>|off
//	            cache_ttl        <duration>
//	            negative_ttl     <duration>
//	            timeout          <duration>
//	            max_in_flight    <n>
//	        }
//	    }
//
//	    consumer <username> {                                        # repeatable
//	        id         <id>
//	        custom_id  <id>
//	        groups     <group...>
//	        tolerate   <what...>
//	        credential <key> {   # repeatable
//	            algorithm   <alg>
//	            public_key  <pem|file>
//	            secret      <value> [base64]
//	            expires     <date>
//	        }
//	    }
//
//	    consumers             file <path>
//	    proof dpop|mtls|any [required] {
//	        replay      local|shared
//	        algorithms  <alg...>
//	        nonce       off|<lifetime>
//	        max_age     <duration>
//	    }
//	    client_cert_header    <header> rfc9440|pem|url_pem
//	    profile               fapi2
//	    require_tls
//	    key_claim             <claim>
//	    require               scope <scope...>                       # repeatable
//	    require               any_scope <scope...>                   # repeatable
//	    require               acr <value...>                         # repeatable
//	    require               max_auth_age <duration>                # repeatable
//	    require               claim <path> [<value...>]              # repeatable
//	    require               claim <path> like <pattern...>         # repeatable
//	    require               claim <path> at_least <number>         # repeatable
//	    require               claim <path> at_most <number>          # repeatable
//	    require               header <path> [<value...>]             # repeatable
//	    require               header <path> like <pattern...>        # repeatable
//	    require               header <path> at_least <number>        # repeatable
//	    require               header <path> at_most <number>         # repeatable
//	    require               group <group...>                       # repeatable
//	    require               not scope <scope...>                   # repeatable
//	    require               not claim <path> [<value...>]          # repeatable
//	    require               not claim <path> like <pattern...>     # repeatable
//	    require               not header <path> [<value...>]         # repeatable
//	    require               not header <path> like <pattern...>    # repeatable
//	    require               not group <group...>                   # repeatable
//	    require               any { <requirement> ... }              # repeatable
//	    scope_implies         <broad> <narrow...>                    # repeatable
//	    mcp {
//	        tool     <name> [scope <scope...>]   # repeatable
//	        method   <name> scope <scope...>     # repeatable
//	        default  allow|deny
//	    }
//	    introspect            [force|skip] [max_age <duration>]
//	    forward_claims        <Header> <path> [<encoding>]           # repeatable
//	    forward_claims        { <Header> <path> [<encoding>] ... }   # repeatable
//	    forward_header        <Header> <path> [<encoding>]           # repeatable
//	    forward_header        { <Header> <path> [<encoding>] ... }   # repeatable
//	    forward_payload       <header> [padded]
//	    forward_tenant        <header>
//	    consumer_headers      off|<header...>
//	    forward_token
//	    expose_token
//	    optional              [expired]
//	    anonymous             <username>
//	    allow_preflight
//	    cors {
//	        origins      <origin...>
//	        methods      <method...>
//	        headers      <header...>
//	        expose       <header...>
//	        credentials
//	        max_age      <duration>
//	    }
//	    origin_check          off
//	    error_format          problem
//	    public                <path...>                              # repeatable
//	    end_at_expiry         [all]
//	    cache                 <size>|off
//	}
//
// An issuer and an audience on the line mean the same as an issuer block with that audience, and need no block. A word
// that is not marked repeatable may be given only once.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	issuerOnLine := d.CountRemainingArgs() > 0
	lines, err := directive.Read(d, h)
	if err != nil {
		return err
	}
	if issuerOnLine {
		if err := h.issuerOnce(); err != nil {
			return lines.Wrap(err)
		}
	}
	return lines.Wrap(h.check())
}
