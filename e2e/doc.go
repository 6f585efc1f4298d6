// Package e2e drives the gateway as it is shipped, with tokens of a real authorization server: the npm package
// oidc-provider on loopback (as/). Its tests need Node.js 20 or newer and a build tag, so that "go test ./..." works
// with nothing but Go:
//
//	npm ci --ignore-scripts --prefix e2e
//	go test -tags e2e ./e2e/...
//
// GATEWAY=<path> tests that binary instead of building ./cmd/caddy.
//
// The tests of MCP put the gateway between client and server of the npm package @modelcontextprotocol/sdk (mcp/). The
// client knows the address of the MCP server and nothing else. It reports each request that it sends. The npm
// package oauth4webapi reads metadata and challenges there.
//
// Other clients have tokens that are bound to a key or to a certificate (proof/). The npm packages oauth4webapi and
// dpop get them from oidc-provider and make the DPoP proofs, right and wrong ones. Certificates go to both servers over
// TLS, and to the gateway also through nginx (Debian: apt-get install nginx-light).
//
// The clients of token_issuer are the npm packages oauth4webapi and openid-client (clients/), and golang.org/x/oauth2.
// They reach it over TLS. A second process of the gateway takes the tokens.
//
// The tests of token_issuer with users ldap start slapd (Debian: apt-get install slapd), or are skipped with a message.
// So are those that start Prometheus (apt-get install prometheus) with the files of examples/monitoring.
//
// Some tests go around the binary: package gate and the npm package jose (oracle/) judge random tokens, and the hostile
// tokens of internal/tokentest. ORACLE_SEED=<n> makes other random tokens.
//
// "make e2e-all" adds the build tag e2eall and with it larger servers: Ory Hydra (hydra/) and the example OpenID
// Provider of github.com/zitadel/oidc (zitadel/). Each is a module of its own, whose go.sum pins what it is built from.
// Hydra's database needs a C compiler. A server that cannot be built fails its test.
//
// The same tag adds a real browser: pages of other origins send requests from a headless Chromium, or Google Chrome. It
// must be installed (Debian: apt-get install chromium), or its tests are skipped with a message. It also runs the page
// of examples/spa.
//
// dex is not part of it: its releases are tagged v2 without /v2 in the module path, so that no go.mod can require one.
package e2e
