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
// Hydra, dex and Chromium are not part of it. The first two have replace directives in their go.mod, so that
// "go install" refuses them: they need a checkout. Chromium needs a package of the operating system.
package e2e
