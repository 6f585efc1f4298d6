// Package gateway is the import that adds the token gate to a custom Caddy:
//
//	xcaddy build --with github.com/caddyjwt/gateway
//
// It registers the module http.handlers.bearer_auth, the Caddyfile directive
// bearer_auth and the command "caddy bearer-auth"; see package caddyjwt.
package gateway

import (
	// Registers the handler, the directive and the command.
	_ "github.com/caddyjwt/gateway/caddyjwt"
)
