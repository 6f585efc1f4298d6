// Package e2e drives the gateway as it is shipped, with tokens of a real authorization server: the npm package
// oidc-provider on loopback (as/). Its tests need Node.js 20 or newer and a build tag, so that "go test ./..." works
// with nothing but Go:
//
//	npm ci --ignore-scripts --prefix e2e
//	go test -tags e2e ./e2e/...
//
// GATEWAY=<path> tests that binary instead of building ./cmd/caddy.
//
// Some tests go around the binary: package gate and the npm package jose (oracle/) judge random tokens, and the hostile
// tokens of internal/tokentest. ORACLE_SEED=<n> makes other random tokens.
//
// There is no larger set: "make e2e" runs every test here, skips none, and needs no other server.
package e2e
