package tokenissuer

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddyjwt/gateway/caddyjwt/cors"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/people"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// The directive comes before bearer_auth, so its addresses need no token. See also order.go in package caddyjwt: the
// neighbour is no other directive's of this project.
func init() {
	httpcaddyfile.RegisterDirective("token_issuer", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("token_issuer", httpcaddyfile.After, "try_files")
}

// parseCaddyfile reads the directive. Its route has no matcher: the handler compares paths as clients send them, and
// matchers see those that handlers before have rewritten.
func parseCaddyfile(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return h.NewRoute(nil, handler), nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	token_issuer <issuer> {
//	    user              <name> <hash> [<role...>]   # repeatable
//
//	    users             file <path>                 # repeatable
//	    users             ldap <url>                  # repeatable
//	    users             http <url>                  # repeatable
//	    users ... {                                   # repeatable
//	        groups          <path>
//	        user_dn         <dn>
//	        base_dn         <dn>
//	        filter          <filter>
//	        bind_dn         <dn>
//	        bind_password   <password>
//	        name_attribute  <attribute>
//	        role_attribute  <attribute>
//	        role            <value> <role>       # repeatable
//	        claim           <name> <attribute>   # repeatable
//	        start_tls
//	        tls {
//	            ca           <file...>
//	            client_cert  <file>
//	            client_key   <file>
//	            server_name  <name>
//	            pin          <sha256...>
//	        }
//	        header_up       <field> <value>      # repeatable
//	        allow_http
//	        timeout         <duration>
//	    }
//
//	    app <path> {                                  # repeatable
//	        audience          <aud...>
//	        access_lifetime   <duration>
//	        refresh_lifetime  <duration>
//	        session_lifetime  <duration>
//	        grace             <duration>
//	        group_by          claim <name>
//	        group_by          cookie <name>
//	        endpoints {
//	            login    <name>
//	            refresh  <name>
//	            logout   <name>
//	            revoke   <name>
//	        }
//	        compat            oauth|iris
//	        claim             <name> <text>   # repeatable
//	        header            <name> <text>   # repeatable
//	    }
//
//	    client <id> {                                 # repeatable
//	        secret_hash      <hash...>
//	        public_key       <pem|path>
//	        jwks             <url>
//	        tls_client_auth  subject|san_dns|san_uri|spki_sha256 <value>
//	        scopes           <scope...>
//	        grants           client_credentials|none
//	        audience         <aud...>
//	        introspect       <aud...>
//	        proof            dpop|mtls
//	        exchange from <issuer> {                 # repeatable
//	            grant             token_exchange|jwt_bearer
//	            subject_audience  <aud...>
//	            audience          <aud...>
//	            scopes            <scope...>
//	            claims            <name...>
//	            subject_prefix    <text>
//	        }
//	        token            jwt|opaque
//	        access_lifetime  <duration> [<aud...>]   # repeatable
//	        claim            <name> <text>           # repeatable
//	        claim            <name> json <value>     # repeatable
//	        header           <name> <text>           # repeatable
//	        header           <name> json <value>     # repeatable
//	    }
//
//	    issuer <issuer> {                             # repeatable
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
//	    clients           file <path>
//	    default_audience  <aud>
//	    oauth_endpoints {
//	        token          <path>
//	        introspection  <path>
//	        revocation     <path>
//	    }
//	    algorithm         ES256|RS256|PS256|EdDSA
//	    cors {
//	        origins      <origin...>
//	        methods      <method...>
//	        headers      <header...>
//	        expose       <header...>
//	        credentials
//	        max_age      <duration>
//	    }
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	if d.CountRemainingArgs() == 0 {
		return d.Err("token_issuer needs the name of the issuer, which is the iss of its tokens: write " +
			"\"token_issuer https://api.example.com\", with the address of the site")
	}
	lines, err := directive.Read(d, h)
	if err != nil {
		return err
	}
	_, err = h.compile(words.NewDeferringSettings())
	return lines.Wrap(err)
}

var directive = words.Directive[Handler]{Line: readLine, Table: &words.Table[Handler]{Name: "token_issuer",
	Words: []words.Word[Handler]{
		{Name: "user", Usage: []string{"<name> <hash> [<role...>]"}, Repeatable: true,
			Reader: people.ReadUser(func(h *Handler) *[]people.User { return &h.Users })},
		{Name: "users", Usage: []string{"file <path>", "ldap <url>", "http <url>"}, Repeatable: true,
			Reader: people.ReadSource(func(h *Handler) *[]people.Source { return &h.UsersFrom })},
		{Name: "app", Usage: []string{"<path>"}, Repeatable: true,
			Reader: words.Named(func(h *Handler) *[]applications.App { return &h.Apps },
				func(a *applications.App) *string { return &a.Path }, &applications.Table)},
		{Name: "client", Usage: []string{"<id>"}, Repeatable: true,
			Reader: words.Named(func(h *Handler) *[]registration.Client { return &h.Clients },
				func(c *registration.Client) *string { return &c.ID }, &registration.Table)},
		{Name: "issuer", Usage: []string{"<issuer>"}, Repeatable: true,
			Reader: words.Named(func(h *Handler) *[]issuers.Issuer { return &h.Issuers },
				func(i *issuers.Issuer) *string { return &i.Issuer }, &issuers.Table)},
		{Name: "clients", Usage: []string{"file <path>"}, Reader: words.Custom(readClientsFile,
			func(h *Handler) []any { return []any{&h.ClientsFile} })},
		{Name: "default_audience", Usage: []string{"<aud>"},
			Reader: words.Text(func(h *Handler) *string { return &h.DefaultAudience })},
		{Name: "oauth_endpoints",
			Reader: words.Only(func(h *Handler) **OAuthEndpoints { return &h.OAuthEndpoints }, &oauthEndpointsTable)},
		{Name: "algorithm", Usage: []string{"ES256|RS256|PS256|EdDSA"},
			Reader: words.Text(func(h *Handler) *string { return &h.Algorithm })},
		{Name: "cors", Reader: words.Only(func(h *Handler) **cors.Config { return &h.CORS }, &cors.Table)},
	}}}

// readClientsFile reads where further clients are.
func readClientsFile(b *words.Block, h *Handler) error {
	args := b.Args()
	if len(args) != 2 || args[0] != "file" {
		return b.WrongUsage("a client of the configuration has a word of its own: client <id> { … }")
	}
	h.ClientsFile = args[1]
	return nil
}

// readLine reads the name of the issuer.
func readLine(b *words.Block, h *Handler) error {
	args := b.Args()
	switch {
	case len(args) == 1 && !strings.HasPrefix(args[0], "@") && args[0] != "*":
		h.Issuer = args[0]
		return nil
	case strings.HasPrefix(args[0], "@"), args[0] == "*", strings.HasPrefix(args[0], "/"):
		return b.Errf("token_issuer takes no matcher, because it answers its own addresses alone: remove %q", args[0])
	default:
		return b.Errf("token_issuer takes the name of the issuer, and all else in a block: move %q into it", args[1])
	}
}

var oauthEndpointsTable = words.Table[OAuthEndpoints]{Name: "oauth_endpoints", Words: []words.Word[OAuthEndpoints]{
	{Name: "token", Usage: []string{"<path>"}, Reader: words.Text(func(e *OAuthEndpoints) *string { return &e.Token })},
	{Name: "introspection", Usage: []string{"<path>"},
		Reader: words.Text(func(e *OAuthEndpoints) *string { return &e.Introspection })},
	{Name: "revocation", Usage: []string{"<path>"},
		Reader: words.Text(func(e *OAuthEndpoints) *string { return &e.Revocation })},
}}
