# "make" alone lists the targets; "make check" is what CI runs.

# Pinned: a new version of a linter must not break a commit that was fine.
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.9.0
CYCLONEDX     := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
NFPM          := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0

# The packages that know nothing of Caddy: quick to test.
PURE := ./introspect/... ./internal/...

# The packages in which goroutines share memory; a test of internal/rules knows
# which. Of caddyjwt/integration, .ci/run takes the tests that let things meet.
RACE := ./caddyjwt/... ./introspect ./internal/bearer ./internal/causes ./internal/certchain ./internal/clients ./internal/diagnose ./internal/durations ./internal/fetch ./internal/gate ./internal/hashing ./internal/identity ./internal/jose ./internal/keyring ./internal/keyset ./internal/lastgood ./internal/logout ./internal/oauth ./internal/possession ./internal/proof ./internal/proof/nonce ./internal/proof/replay ./internal/refresh ./internal/revoke ./internal/revoke/table ./internal/roster ./internal/rotating ./internal/sealed ./internal/session ./internal/smallfile ./internal/store ./internal/store/redis ./internal/tenant ./internal/tenantkeys ./internal/users ./internal/users/attempts ./internal/users/httpusers ./internal/users/ldapusers

# What "make fuzz" runs, and for how long: make fuzz T=FuzzParse P=./internal/jose
T        ?= FuzzParse
P        ?= ./internal/jose
FUZZTIME ?= 1m

# What "make update-caddy" moves to.
CADDY ?= latest

.DEFAULT_GOAL := help
.PHONY: help test race fuzz bench bench-whole e2e e2e-all build run lint vuln fmt update-caddy check clean

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

test: ## all tests that need nothing but Go
	go test ./...

race: ## tests under the race detector, where goroutines share memory
	bash .ci/run race

fuzz: ## one fuzz target: make fuzz T=FuzzParse P=./internal/jose FUZZTIME=10m
	go test -run '^$$' -fuzz '^$(T)$$' -fuzztime $(FUZZTIME) $(P)

bench: ## benchmarks, into bench.out for benchstat
	go test -run '^$$' -bench . -count 6 $(PURE) ./caddyjwt ./caddyjwt/pool | tee bench.out
	go test -run '^$$' -bench Parallel -cpu 1,2,8 -count 6 ./internal/gate ./introspect ./caddyjwt | tee -a bench.out

bench-whole: ## this gateway, plain Caddy and HAProxy as processes, about five minutes
	cd bench && go run .

e2e: ## tests against a real authorization server (needs Node.js 20 or newer)
	npm ci --ignore-scripts --no-audit --no-fund --prefix e2e
	go test -tags e2e ./e2e/...

e2e-all: ## the tests of e2e, and those with Hydra, dex, zitadel and a browser (needs a C compiler and Chromium, too)
	npm ci --ignore-scripts --no-audit --no-fund --prefix e2e
	cd e2e/hydra && go vet -tags sqlite .
	cd e2e/dex && go vet .
	cd e2e/zitadel && go vet .
	go test -count=1 -timeout 20m -tags e2e,e2eall ./e2e/...

build: ## the custom Caddy of xcaddy.json, from this tree
	go run ./cmd/build

run: ## the example gateway on :8080
	go run ./cmd/caddy run --config Caddyfile.example --adapter caddyfile

lint: ## the linters of .golangci.yml
	go run $(GOLANGCI_LINT) run ./...
	cd bench && go run $(GOLANGCI_LINT) run ./...

vuln: ## known vulnerabilities in what this code really calls
	go run $(GOVULNCHECK) ./...

fmt: ## rewrite the source in gofmt's style
	gofmt -w $$(git ls-files '*.go')

update-caddy: ## move go.mod, xcaddy.json and bench to the newest Caddy, or to CADDY=v2.12.0
	go get github.com/caddyserver/caddy/v2@$(CADDY)
	go mod tidy
	version=$$(go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2) && \
	sed -i.old 's/"caddy_version": "[^"]*"/"caddy_version": "'$$version'"/' xcaddy.json && rm xcaddy.json.old && \
	cd bench && go get github.com/caddyserver/caddy/v2@$$version && go mod tidy

check: ## what CI runs, in its order
	bash .ci/run

clean: ## remove what the targets above made
	rm -rf caddy bench.out e2e/node_modules
