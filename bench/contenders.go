package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The kinds of work.
const (
	hot1   = "hot1"   // one good token, again and again
	hot100 = "hot100" // a hundred of them in turn
	cold   = "cold"   // another good token in each request
	reject = "reject" // tokens with a bad signature
)

var allWorkloads = []string{hot1, hot100, cold, reject}

// contender is one gateway with one configuration.
type contender struct {
	name      string
	workloads []string
	algs      []string // nil for all
	// floor is the contender whose work is the same but for the check of the token.
	floor map[string]string // by workload
	// command writes the configuration for one algorithm and gives the command that runs it in the foreground.
	command func(*setup) (*exec.Cmd, error)
}

// setup is what a contender needs to know to run.
type setup struct {
	dir     string // of its own, empty
	listen  string // host:port to listen on
	backend string // host:port to proxy to
	caddy   string // program
	haproxy string // program; empty when there is none
	signer  *signer
	pemFile string // empty for HS256
	setFile string // the same as a JWK set
}

// port is that of listen: a site address with a host in it would only answer requests for that host.
func (s *setup) port() string {
	_, port, _ := net.SplitHostPort(s.listen) // it comes from a listener
	return port
}

// The names of the contenders that others are compared with.
const (
	gatewayName   = "this gateway"
	plainName     = "Caddy, reverse_proxy only"
	denyName      = "Caddy, respond 401"
	signatureName = "Caddy, the bare signature"
	haproxyName   = "HAProxy, proxy only"
	haDenyName    = "HAProxy, deny 401"
)

// contenders lists who takes part.
func contenders(haproxy string) []contender {
	onCaddy := map[string]string{hot1: plainName, hot100: plainName, cold: plainName, reject: denyName}
	list := []contender{
		{name: plainName, workloads: []string{hot1, hot100, cold}, command: caddyfile("")},
		{name: "Caddy, a handler that does nothing", workloads: []string{hot1}, floor: onCaddy, command: caddyfile("noop")},
		{
			name: "Caddy, Authorization removed", workloads: []string{hot1}, floor: onCaddy,
			command: caddyfile("request_header -Authorization"),
		},
		{name: denyName, workloads: []string{reject}, command: caddyfile("respond 401")},
		{name: "Caddy, error 401", workloads: []string{reject}, floor: onCaddy, command: caddyfile("error 401")},
		{name: signatureName, workloads: []string{cold, reject}, floor: onCaddy, command: signature},
		{name: gatewayName, workloads: allWorkloads, floor: onCaddy, command: gate},
	}
	if haproxy != "" {
		onHAProxy := map[string]string{hot1: haproxyName, cold: haproxyName, reject: haDenyName}
		list = append(list,
			contender{name: haproxyName, workloads: []string{hot1, cold}, command: haproxyWith(haPlain)},
			contender{name: haDenyName, workloads: []string{reject}, command: haproxyWith(haDeny)},
			contender{
				name: "HAProxy, jwt_verify", workloads: []string{hot1, cold, reject}, floor: onHAProxy,
				algs: []string{"HS256", "RS256", "ES256"}, command: haproxyWith(haVerify),
			},
		)
	}
	return append(list, others(onCaddy)...)
}

// takesPart reports whether the contender does this work with tokens of this algorithm.
func (c *contender) takesPart(workload, alg string) bool {
	return slices.Contains(c.workloads, workload) && (c.algs == nil || slices.Contains(c.algs, alg))
}

// caddyfile is a Caddy whose site has these lines before reverse_proxy.
func caddyfile(lines string) func(*setup) (*exec.Cmd, error) {
	return func(s *setup) (*exec.Cmd, error) {
		text := fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	storage file_system %q
	log {
		level ERROR
	}
}
http://:%s {
	bind 127.0.0.1
	%s
	reverse_proxy %s
}
`, s.dir, s.port(), lines, s.backend)
		file := filepath.Join(s.dir, "Caddyfile")
		return exec.Command(s.caddy, "run", "--config", file, "--adapter", "caddyfile"),
			os.WriteFile(file, []byte(text), 0o600)
	}
}

// gate is this gateway as an operator would configure it: one issuer, an audience, its algorithm.
func gate(s *setup) (*exec.Cmd, error) { return gateWith(s, "") }

func gateWith(s *setup, extra string) (*exec.Cmd, error) {
	keys := "file " + s.setFile
	if s.signer.secret != "" {
		keys = "secret " + s.signer.secret
	}
	return caddyfile(fmt.Sprintf(`bearer_auth {
		audience %s
		issuer %s {
			algorithms %s
			keys %s
		}
		%s
	}`, audience, issuer, s.signer.alg, keys, extra))(s)
}

// signature is a Caddy that checks the signature and nothing else.
func signature(s *setup) (*exec.Cmd, error) {
	key := s.pemFile
	if s.signer.secret != "" {
		key = s.signer.secret
	}
	return caddyfile("signature * " + key)(s) // without the star, a path would be a matcher
}

// What HAProxy does with a request before it proxies it.
const (
	haPlain  = ""
	haDeny   = "http-request deny deny_status 401"
	haVerify = `http-request set-var(txn.bearer) http_auth_bearer
	http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
	http-request deny deny_status 401 unless { var(txn.alg) -m str %[1]s }
	http-request deny deny_status 401 unless { var(txn.bearer),jwt_payload_query('$.iss') -m str %[2]s }
	http-request deny deny_status 401 unless { var(txn.bearer),jwt_payload_query('$.aud') -m str %[3]s }
	http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
	http-request set-var(txn.now) date()
	http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
	http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"%[4]s") -m int 1 }
	http-request del-header Authorization`
)

// haproxyWith is an HAProxy with one thread that has these rules.
func haproxyWith(rules string) func(*setup) (*exec.Cmd, error) {
	return func(s *setup) (*exec.Cmd, error) {
		key := s.pemFile
		if s.signer.secret != "" {
			key = s.signer.secret
		}
		lines := rules
		if rules == haVerify {
			lines = fmt.Sprintf(rules, s.signer.alg, issuer, audience, key)
		}
		text := fmt.Sprintf(`global
	nbthread 1
	maxconn 1000
defaults
	mode http
	http-reuse always
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend in
	bind %s
	%s
	default_backend out
backend out
	server one %s
`, s.listen, lines, s.backend)
		file := filepath.Join(s.dir, "haproxy.cfg")
		return exec.Command(s.haproxy, "-db", "-q", "-f", file), os.WriteFile(file, []byte(text), 0o600)
	}
}

// others are gateways that the environment names: for any X, BENCH_OTHERX_NAME and BENCH_OTHERX_CMD, which the shell
// runs with the variables below. BENCH_OTHERX_ALGS, if set, says which algorithms it knows.
func others(floor map[string]string) []contender {
	var list []contender
	for _, entry := range os.Environ() {
		variable, name, _ := strings.Cut(entry, "=")
		prefix, ok := strings.CutSuffix(variable, "_NAME")
		if !ok || !strings.HasPrefix(prefix, "BENCH_OTHER") || name == "" {
			continue
		}
		c := contender{name: name, workloads: allWorkloads, floor: floor, command: shell(os.Getenv(prefix + "_CMD"))}
		if algs := os.Getenv(prefix + "_ALGS"); algs != "" {
			c.algs = strings.Fields(algs)
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b contender) int { return strings.Compare(a.name, b.name) })
	return list
}

// shell runs somebody else's gateway. It replaces the shell, so that the process measured is the gateway.
func shell(command string) func(*setup) (*exec.Cmd, error) {
	return func(s *setup) (*exec.Cmd, error) {
		key := s.signer.base64Secret()
		if s.signer.public != nil {
			key = s.signer.pem()
		}
		cmd := exec.Command("sh", "-c", "exec "+command)
		cmd.Env = append(os.Environ(),
			"BENCH_LISTEN="+s.listen, "BENCH_PORT="+s.port(), "BENCH_BACKEND="+s.backend,
			"BENCH_DIR="+s.dir, "BENCH_ALG="+s.signer.alg,
			"BENCH_ISSUER="+issuer, "BENCH_AUDIENCE="+audience,
			"BENCH_KEY="+key, "BENCH_PEM_FILE="+s.pemFile, "BENCH_JWKS_FILE="+s.setFile)
		return cmd, nil
	}
}
