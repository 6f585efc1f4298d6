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
// "make e2e-all" adds the build tag e2eall and with it a larger server: the example OpenID Provider of
// github.com/zitadel/oidc (zitadel/). It is a module of its own, whose go.sum pins what it is built from. A server that
// cannot be built fails its test.
//
// Hydra and dex are not part of it: their go.mod files have replace directives, so that they need a checkout. Nor is a
// browser: nothing here runs in one yet.
package e2e
