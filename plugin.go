// Package gateway is the import that adds the token gate to a custom Caddy:
//
//	xcaddy build --with github.com/caddyjwt/gateway
//
// It registers the module http.handlers.bearer_auth and the Caddyfile directive
// bearer_auth, see package caddyjwt, and the command "caddy bearer-auth", see
// package command.
package gateway

import (
	// Registers the handler and the directive.
	_ "github.com/caddyjwt/gateway/caddyjwt"
	// Registers the command.
	_ "github.com/caddyjwt/gateway/caddyjwt/command"
)
