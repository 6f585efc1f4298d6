// Package e2e drives the gateway as it is shipped, with tokens of a real
// authorization server: the npm package oidc-provider on loopback (as/). Its
// tests need Node.js 20 or newer and a build tag, so that "go test ./..."
// works with nothing but Go:
//
//	npm ci --ignore-scripts --prefix e2e
//	go test -tags e2e ./e2e/...
//
// GATEWAY=<path> tests that binary instead of building ./cmd/caddy.
//
// One test goes around the binary: it has random tokens judged by package gate
// and by the npm package jose (oracle/). ORACLE_SEED=<n> makes other tokens.
package e2e
