// Command caddy is Caddy with its standard modules, the token gate and the token issuer, as "xcaddy build" would make
// it. As a main package, "go run ./cmd/caddy" works in a clone with nothing but Go.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddyjwt/gateway"
	_ "github.com/caddyjwt/gateway/caddyjwt/tokenissuer"
)

func main() { caddycmd.Main() }
