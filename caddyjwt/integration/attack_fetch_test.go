package integration

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Metadata, or an operator's mistake, names an address of another scheme. A careless fetcher reads a local file, or
// takes the keys out of the address itself: CVE-2026-48522. Here only https is fetched, and http on this machine.
func TestAttackFetchOtherSchemes(t *testing.T) {
	mallory := tokentest.NewKey(t, "ES256", "mallory")
	set := tokentest.JWKS(mallory)
	url, connections := trap(t)
	elsewhere := tokentest.NewAS(t, tokentest.WithKeys(mallory))
	s := prepare(t)
	for name, address := range map[string]string{
		"a file":                 "file://" + writeFile(t, filepath.Join(t.TempDir(), "jwks.json"), set),
		"a file of the system":   "file:///etc/passwd",
		"data":                   "data:application/json;base64," + base64.StdEncoding.EncodeToString([]byte(set)),
		"ftp":                    strings.Replace(url, "http:", "ftp:", 1) + "/jwks",
		"gopher":                 strings.Replace(url, "http:", "gopher:", 1) + "/_GET",
		"a socket":               "unix:///run/as.sock",
		"http elsewhere":         "http://192.0.2.1/jwks",
		"no scheme":              strings.TrimPrefix(elsewhere.JWKSURL(), "http:"),
		"with a password":        strings.Replace(elsewhere.JWKSURL(), "http://", "http://user:password@", 1),
		"with a fragment":        elsewhere.JWKSURL() + "#x",
		"a name like this one's": "http://127.0.0.1.example.com/jwks",
	} {
		s.attack(t, "jwks_uri: "+name, func(t *testing.T, a *attempt) {
			as := tokentest.NewAS(t)
			as.ChangeMetadata(func(document map[string]any) { document["jwks_uri"] = address })
			a.restart(gateFor(issuerByDiscovery(as)))
			a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
			a.logSays("address not allowed")
		})
		s.attack(t, "introspection_endpoint: "+name, func(t *testing.T, a *attempt) {
			as := tokentest.NewAS(t)
			as.ChangeMetadata(func(document map[string]any) { document["introspection_endpoint"] = address })
			a.restart(gateFor(issuerWithKeys(as.URL, "discovery", "introspect opaque {", "auth_method none", "}")))
			a.ourFaultFor(a.send("opaque"), http.StatusBadGateway, "introspection_failed", false)
			a.logSays("the metadata names no such endpoint")
		})
		s.refusedAtLoad(t, "keys jwks: "+name, "address not allowed", func(s *site) error {
			return s.tryLoad(s.caddyfile(gateFor(issuerWithKeys("https://as.example.com", "jwks "+address))))
		})
	}
	// Metadata that came over https leads to a service of this machine that has no TLS.
	s.attack(t, "http on this machine, named by metadata over https", func(t *testing.T, a *attempt) {
		as := tokentest.NewAS(t, tokentest.WithTLS())
		as.ChangeMetadata(func(document map[string]any) { document["jwks_uri"] = elsewhere.JWKSURL() })
		a.restart(gateFor(issuerByDiscovery(as, tlsBlock(t, as))))
		a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
		a.logSays("address not allowed")
	})
	if n := connections.Load() + int64(elsewhere.JWKSFetches()); n != 0 {
		t.Errorf("%d connections to an address that must not be used", n)
	}
}

// redirecting answers everything with a redirect.
func redirecting(status int, location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(status)
	}
}

// The key server redirects the fetcher to a place that only the gate can reach, such as a metadata service of the
// cloud, or to a server without TLS: CVE-2026-102267, CVE-2026-49478. Few redirects are followed. Each must keep the
// scheme, and is checked like the first address.
func TestAttackFetchRedirect(t *testing.T) {
	long(t)
	mallory := tokentest.NewKey(t, "ES256", "mallory")
	url, connections := trap(t)
	plain := tokentest.NewAS(t, tokentest.WithKeys(mallory))
	s := prepare(t)
	for name, location := range map[string]string{
		"a metadata service":              "http://169.254.169.254/latest/meta-data/",
		"a metadata service over https":   "https://169.254.169.254/latest/meta-data/",
		"the same as IPv6":                "https://[::ffff:169.254.169.254]/",
		"the same behind NAT64":           "https://[64:ff9b::a9fe:a9fe]/",
		"a metadata service of Azure's":   "https://168.63.129.16/",
		"a link-local address":            "https://[fe80::1]/",
		"this machine by no name":         "https://0.0.0.0/",
		"a server without TLS":            plain.JWKSURL(),
		"a trap without TLS":              url,
		"http elsewhere":                  "http://192.0.2.1/jwks",
		"a file":                          "file:///etc/passwd",
		"data":                            "data:application/json," + tokentest.JWKS(mallory),
		"nowhere":                         "",
		"an address that cannot be read":  "https://[::1",
		"a server whose URL has password": strings.Replace(plain.JWKSURL(), "http://", "https://user:password@", 1),
	} {
		for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
			s.attack(t, fmt.Sprintf("keys: %d to %s", status, name), func(t *testing.T, a *attempt) {
				as := tokentest.NewAS(t, tokentest.WithTLS())
				as.HandleJWKS(redirecting(status, location))
				a.restart(gateFor(issuerByDiscovery(as, tlsBlock(t, as))))
				a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
				a.logSays("not followed", "address not allowed", "failed to parse Location")
			})
			s.attack(t, fmt.Sprintf("metadata: %d to %s", status, name), func(t *testing.T, a *attempt) {
				as := tokentest.NewAS(t, tokentest.WithTLS(), tokentest.WithKeys(mallory))
				as.HandleMetadata(redirecting(status, location))
				a.restart(gateFor(issuerByDiscovery(as, tlsBlock(t, as))))
				a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
				a.logSays("not followed", "address not allowed", "failed to parse Location")
			})
		}
	}
	if n := connections.Load() + int64(plain.JWKSFetches()); n != 0 {
		t.Errorf("%d connections to an address that must not be used", n)
	}
	s.attack(t, "twenty hops", func(t *testing.T, a *attempt) {
		key := tokentest.NewKey(t, "ES256", "twenty")
		as := tokentest.NewAS(t)
		var hops atomic.Int64
		as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
			if hops.Add(1) == 20 {
				_, _ = io.WriteString(w, tokentest.JWKS(key))
				return
			}
			http.Redirect(w, r, as.JWKSURL(), http.StatusFound)
		})
		a.restart(gateFor(issuerByDiscovery(as)))
		a.ourFaultFor(a.send(key.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
		if n := hops.Load(); n > 4 {
			t.Errorf("%d hops", n)
		}
	})
}

// A server that gets credentials redirects to another server, and a careless client sends the credentials along:
// CVE-2024-45336, CVE-2025-4673, CVE-2023-45289. Requests with credentials follow no redirect. A header field for the
// key server goes to that server alone.
func TestAttackFetchCredentialsAlongARedirect(t *testing.T) {
	var reached atomic.Int64
	var leaked atomic.Pointer[http.Header]
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		header := r.Header.Clone()
		leaked.Store(&header)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"active":true,"sub":"mallory","aud":"`+audience+`"}`)
	}))
	t.Cleanup(other.Close)
	s := prepare(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, lines := range map[string][]string{
			"client_secret_basic": {"client_id gateway", "client_secret s3cr3t", "auth_method client_secret_basic"},
			"client_secret_post":  {"client_id gateway", "client_secret s3cr3t", "auth_method client_secret_post"},
			"bearer":              {"bearer_token our-own-token", "auth_method bearer"},
			"userinfo":            {"verify userinfo"},
		} {
			s.attack(t, fmt.Sprintf("%s: %d", name, status), func(t *testing.T, a *attempt) {
				as := tokentest.NewAS(t)
				from := httptest.NewServer(redirecting(status, other.URL+"/introspect"))
				defer from.Close()
				a.restart(gateFor("issuer " + as.URL + " {\naudience any\nkeys none\nintrospect opaque {\ntimeout 30s\nendpoint " +
					from.URL + "\n" +
					strings.Join(lines, "\n") + "\n}\n}"))
				a.ourFaultFor(a.send("opaque"), http.StatusBadGateway, "introspection_failed", false)
			})
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d redirects with credentials were followed", n)
	}
	s.attack(t, "a header field for the server of the keys", func(t *testing.T, a *attempt) {
		key := tokentest.NewKey(t, "ES256", "header")
		as, to := tokentest.NewAS(t, tokentest.WithKeys(key)), tokentest.NewAS(t)
		to.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
			header := r.Header.Clone()
			leaked.Store(&header)
			_, _ = io.WriteString(w, tokentest.JWKS(key))
		})
		var own atomic.Pointer[http.Header]
		as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
			header := r.Header.Clone()
			own.Store(&header)
			http.Redirect(w, r, to.JWKSURL(), http.StatusFound)
		})
		a.restart(gateFor(issuerByJWKS(as, "header_up X-Api-Key k3y", "header_up Authorization t0ken")))
		token := key.Sign(t, issuedBy(as.URL))
		eventually(t, "the keys are there", func() bool { status, _ := a.status(token); return status == http.StatusOK })
		a.drain()
		a.passed(a.send(token))
		if h := *own.Load(); h.Get("X-Api-Key") != "k3y" {
			t.Errorf("the server itself got %v", h)
		}
		if h := *leaked.Load(); h.Get("X-Api-Key") != "" || h.Get("Authorization") != "" {
			t.Errorf("the other server got %v", h)
		}
	})
}

// Somebody puts something else in place of the key file: a link to a device without end, a pipe that nobody writes, a
// part of a file. Only a whole regular file is taken. Otherwise the old keys stay. A link to another good file is a
// change like any other.
func TestAttackFetchKeyFileSwapped(t *testing.T) {
	long(t)
	key, mallory, next := tokentest.NewKey(t, "ES256", "file"), tokentest.NewKey(t, "ES256", "mallory"),
		tokentest.NewKey(t, "ES256", "file-next")
	dir := t.TempDir()
	set := tokentest.JWKS(mallory)
	swaps := map[string]func(path string) error{
		"a link to a device without end": func(path string) error { return os.Symlink("/dev/zero", path) },
		"a link to itself":               func(path string) error { return os.Symlink(path, path) },
		"a link to nothing":              func(path string) error { return os.Symlink(path+".gone", path) },
		"a pipe that nobody writes":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory":                    func(path string) error { return os.Mkdir(path, 0o700) },
		"nothing":                        func(string) error { return nil },
		"an empty file":                  func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"half a file": func(path string) error {
			return os.WriteFile(path, []byte(set[:len(set)/2]), 0o600)
		},
		"a file without end": func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat(set, 1<<20/len(set)+1)), 0o600)
		},
		"a set without keys": func(path string) error { return os.WriteFile(path, []byte(`{"keys":[]}`), 0o600) },
	}
	var blocks []string
	paths := make(map[string]string)
	issuer := func(name string) string { return "https://" + strings.ReplaceAll(name, " ", "-") + ".example.com" }
	for name := range swaps {
		paths[name] = writeFile(t, filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".json"), tokentest.JWKS(key))
		blocks = append(blocks, issuerWithKeys(issuer(name), "file "+paths[name]))
	}
	s := start(t, gateFor(blocks...))
	for name, swap := range swaps {
		s.passed(s.get("/", key.Sign(t, issuedBy(issuer(name)))))
		if err := os.Remove(paths[name]); err != nil {
			t.Fatal(err)
		}
		if err := swap(paths[name]); err != nil {
			t.Fatal(err)
		}
	}
	for name := range swaps {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			eventually(t, "it is noticed", func() bool { return a.logged("refreshing keys is failing", paths[name]) })
			a.passed(a.send(key.Sign(t, issuedBy(issuer(name), "jti", "2"))))
			a.refusedFor(a.send(mallory.Sign(t, issuedBy(issuer(name)))), "unknown_key")
		})
	}
	for name := range swaps {
		other := writeFile(t, paths[name]+".next", tokentest.JWKS(next))
		if err := os.RemoveAll(paths[name]); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(other, paths[name]); err != nil {
			t.Fatal(err)
		}
	}
	for name := range swaps {
		s.attack(t, "control: a link to a good file in place of "+name, func(t *testing.T, a *attempt) {
			token := next.Sign(t, issuedBy(issuer(name)))
			eventually(t, "the new key is in force", func() bool {
				status, err := a.status(token)
				return err == nil && status == http.StatusOK
			})
			a.drain()
			a.refusedFor(a.send(key.Sign(t, issuedBy(issuer(name), "jti", "3"))), "unknown_key")
		})
	}
}
