package caddyjwt

import "github.com/caddyjwt/gateway/caddyjwt/words"

// foreign are words of Kong and InterSystems API Manager, other plugins of Caddy, Envoy, Istio, Traefik, nginx and
// oauth2-proxy, and words that newcomers try first. Each row has a sentence, which says what to write here, and the
// words that it answers.
var foreign = words.NewForeign([][2]string{
	// Who issues tokens, and what else there is.
	{"here: max_lifetime <duration>", "maximum_expiration"},
	{"here the claim is always aud: audience <aud...>", "audience_claim oidc_audience_claims"},
	{"here: audience <aud...>", "audience_required audience_whitelist oidc_extra_audiences aud"},
	{"here: an issuer block for each",
		"issuers_allowed issuer_whitelist jwtRules providers trustedIssuers extra_jwt_issuers trusted_tokens"},
	{"signatures are always verified: leave this out", "verify_signature"},
	{"only bearer tokens are accepted: leave this out", "auth_methods skip_jwt_bearer_tokens"},
	{"here, in an issuer block: algorithms <alg...>", "sign_alg validMethods auth_jwt_algorithm alg"},
	{"here: leeway <duration>", "clock_skew_seconds auth_jwt_leeway clock_skew"},
	{"here: cache <size>|off", "jwt_cache_config cache_size"},
	{"here the realm is a word of its own: realm <text>", "auth_jwt"},
	{"bearer_auth is always on: leave this out", "auth_jwt_enabled"},
	{"here: issuer <iss>", "oidc_issuer_url iss"},
	{"iss is always compared: leave this out", "insecure_oidc_skip_issuer_verification"},
	{"here: required_claims <claim...>; what the route requires goes outside the issuer block", "require"},
	// Keys, and the server that has them.
	{"here, in an issuer block: keys jwks <url>, with a line for each key set", "extra_jwks_uris"},
	{"here, in an issuer block: header_up <name> <value>", "discovery_headers_names request_header"},
	{"verification cannot be switched off; for a certificate authority of your own: tls { ca <file> }",
		"ssl_verify skip_verification ssl_insecure_skip_verify insecure " +
			"insecure_skip_verify tls_insecure_skip_verify skip_verify"},
	{"here, in an issuer block: keys secret <value>, or keys pem <text>", "sign_key auth_jwt_key"},
	{"here, in an issuer block: keys jwks <url>",
		"jwk_url remote_jwks http_uri auth_jwt_key_request oidc_jwks_url skip_oidc_discovery jwks jwks_url jwks_uri"},
	{"here, in an issuer block: keys file <path>, or keys pem <text>", "local_jwks"},
	{"keys are fetched when needed, and refreshed before they expire: leave this out",
		"async_fetch cache_duration skipPrefetch refreshKeysInterval auth_jwt_key_cache"},
	{"here, in an issuer block: keys secret <value>", "signingSecret hmac_secret secret_key"},
	{"here, in an issuer block: keys secret <value> base64", "signingSecretBase64"},
	{"here, in an issuer block: keys pem <text>, or keys file <path>", "publicKey"},
	{"here, in an issuer block: keys file <path>", "jwksFile auth_jwt_key_file auth_jwt_keyfile_path key_file"},
	{"here, in an issuer block: tls { ca <file> }", "provider_ca_files ca_file root_ca"},
	{"here, in an issuer block: keys discovery [<url>]", "discovery discovery_url"},
	{"here, in an issuer block: keys jwks <url>, or keys discovery <url>", "url"},
	{"here, in an issuer block: keys pem <text>", "pem"},
	{"it belongs in the issuer block, or, for all issuers, in the global option bearer_auth", "prefetch"},
	// Where tokens are.
	{"here: token_from query <name>", "uri_param_names from_query from_params parameterName tokenQueryKey query"},
	{"here: token_from cookie <name>", "cookie_names bearer_token_cookie_name from_cookies cookie cookie_name"},
	{"here: token_from header <name> [<scheme>]",
		"header_names token_headers_client from_header from_headers value_prefix headerName"},
	{"here: token_from header|query|cookie|form <name>", "bearer_token_param_type auth_jwt_location token_source"},
	{"here: token_from query|cookie|form <name>", "tokenKey"},
	// What a route requires.
	{"exp and nbf are always verified; for other claims: require claim <path>", "claims_to_verify"},
	{"here every request needs a token; preflights pass with: allow_preflight", "run_on_preflight"},
	{"here: require scope <scope...>", "scopes_required scope scopes"},
	{"here: require any_scope <scope...>", "any_scope any_scopes scopes_any one_of_scopes"},
	{"here: require acr <value...>", "acr acr_values required_acr"},
	{"here: require max_auth_age <duration>", "max_auth_age auth_time max_authentication_age"},
	{"here: scope_implies <broad> <narrow...>", "scope_hierarchy scope_mapping scope_map implied_scopes role_hierarchy"},
	{"here: require group <group...>", "groups_required allowed_groups group"},
	{"here: require claim <path> <role...>", "roles_required allowed_roles role roles"},
	{"scopes are always in scope or scp: require scope <scope...>", "scopes_claim"},
	{"here: require scope, require claim or require group", "requires"},
	{"all lines of require must hold; for several issuers of which one is enough, write an issuer block for each; for " +
		"alternatives: require any { ... }", "requires_any requires_all one_of any any_of"},
	{"here: require not claim <path> <value...>", "not_values deny denied_claims"},
	{"here: require claim <path> like <pattern...>, or see \"Patterns\" in docs/configuration.md",
		"string_match prefix_match suffix_match claim_regex"},
	{"here: optional", "allow_missing"},
	{"a bad token never passes; for requests without one, or with an expired cookie: optional [expired]",
		"allow_missing_or_failed"},
	{"here: allow_preflight", "bypass_cors_preflight skip_auth_preflight"},
	{"here: a matcher behind bearer_auth says which requests need a token", "rules api_routes"},
	{"here: public <path...>, with /* at the end for everything below a path",
		"excludedPaths skip_auth_routes skip_auth_regex exclude except skip not " +
			"whitelist public_paths skip_paths bypass open"},
	{"here: require claim sub <value...>", "subjects"},
	{"here: require claim <path> [<value...>]", "claims auth_jwt_require auth_jwt_require_claim claim"},
	{"here: require claim <path> <group...>", "oidc_groups_claim"},
	{"here: require scope <scope...>, or require claim <path> <value...>", "permissions"},
	// Pages of other origins.
	{"here, in the block cors: origins <origin...>, each one in full",
		"origins allowed_origins allow_origin allow_origin_string_match allow_origin_regex " +
			"accessControlAllowOriginList accessControlAllowOriginListRegex"},
	{"here, in the block cors: methods, headers or expose, with a list", "methods headers expose allow_methods " +
		"allow_headers expose_headers allowed_methods allowed_headers exposed_headers " +
		"accessControlAllowMethods accessControlAllowHeaders accessControlExposeHeaders"},
	{"here, in the block cors: credentials", "credentials allow_credentials accessControlAllowCredentials"},
	{"of a sign-in: require max_auth_age <duration>; in the block cors: max_age <duration>",
		"max_age accessControlMaxAge"},
	// Introspection.
	{"here, in the introspect block of an issuer: endpoint <url>", "introspection_endpoint introspection_url"},
	{"here, in an issuer block: introspect always", "introspect_jwt_tokens"},
	{"here, in an issuer block: decrypt, for tokens that are signed and then encrypted", "auth_jwt_type"},
	// Consumers.
	{"here: key_claim <claim>", "key_claim_name credential_claim"},
	{"it belongs in the issuer block: consumer_claim <path> [custom_id]", "consumer_claim consumer_claims"},
	{"here, in an issuer block: consumer_claim <path> custom_id, or without custom_id by username", "consumer_by"},
	{"here: secret <value> base64", "secret_is_base64"},
	{"here: public_key <pem|file>", "rsa_public_key"},
	{"tokens of an issuer need no consumer, unless it has consumer_claim: leave this out", "consumer_optional"},
	{"here: consumer <username>", "username"},
	// What the backend learns.
	{"here the token is removed; to leave it in the request: forward_token", "hide_credentials stripAuthorizationHeader"},
	{"here: forward_claims <Header> <path>",
		"forward_claim upstream_headers_claims upstream_headers_names claim_to_headers outputClaimToHeaders forwardHeaders " +
			"headerMap auth_jwt_extract_claims set_xauthrequest pass_user_headers"},
	{"here, in an issuer block: username_claim <path>; for another header: forward_claims <Header> <path>",
		"user_claims usernameClaim user_id_claim oidc_email_claim"},
	{"here: forward_claims <Header> <path>, and {http.auth.user.<claim>}", "meta_claims"},
	{"here: forward_payload <header>", "forward_payload_header outputPayloadToHeader"},
	{"here: forward_payload <header> padded", "pad_forward_payload_header"},
	{"here: forward_token", "forward forwardOriginalToken pass_access_token pass_authorization_header"},
	{"here: {http.auth.user.<claim>}", "payload_in_metadata auth_jwt_claim_set"},
	{"here: token_from header <name> [<scheme>], or forward_claims <Header> <path>", "header"},
})
