// Package gateway is the import that adds the token gate to a custom Caddy:
//
//	xcaddy build --with github.com/caddyjwt/gateway
//
// It registers the handler http.handlers.bearer_auth with the Caddyfile directive bearer_auth, the app and the global
// option of the same name (package caddyjwt), the admin routes under /bearer_auth/ (package operator), the request
// matcher bearer (package matcher), and the command "caddy bearer-auth" (package command).
package gateway

import (
	// Registers the handler and the app.
	_ "github.com/caddyjwt/gateway/caddyjwt"
	// Registers the command.
	_ "github.com/caddyjwt/gateway/caddyjwt/command"
	// Registers the request matcher.
	_ "github.com/caddyjwt/gateway/caddyjwt/matcher"
	// Registers the admin routes.
	_ "github.com/caddyjwt/gateway/caddyjwt/operator"
)
