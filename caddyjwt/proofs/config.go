// Package proofs has what a configuration says about tokens that are bound to a key: the words proof and
// client_cert_header, and what the gates of a process have in common to judge proofs.
package proofs

import (
	"github.com/caddyserver/caddy/v2"
)

// Config says how clients prove that they have the key to which their token is bound. A bound token without such a
// proof is refused: it is no bearer token.
type Config struct {
	// Which proofs count. "dpop": proofs of RFC 9449 in the header DPoP, for tokens with the scheme DPoP in Authorization.
	// "mtls": client certificates (RFC 8705), which the server must ask for: see client_auth of Caddy's TLS connection
	// policies. "any": both. A token that is bound to both must be proved in both ways. Required.
	Accept string `json:"accept,omitempty"`
	// Refuse tokens that are bound to nothing. Default: they pass as bearer tokens.
	Required bool `json:"required,omitempty"`
	// Where the DPoP proofs that were used are remembered, so that nobody can send one again. "local": in this process. A
	// proof that one node has seen is good once at each other node, and once again after a restart, while its time lasts.
	// "shared": in the store of the global option bearer_auth, which all its nodes ask once for each request. If it does
	// not answer, requests with proofs get 503. Default: "local". Only with dpop and any.
	Replay string `json:"replay,omitempty"`
	// What DPoP proofs may be signed with. Default: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA
	// and Ed25519. Only with dpop and any.
	Algorithms []string `json:"algorithms,omitempty"`
	// Have clients put a nonce of ours into each DPoP proof, so that nobody can make proofs for later: how long one is
	// good, from 10s to 1h. A client learns the first one when it is refused (use_dpop_nonce, DPoP-Nonce). Nodes with the
	// same store take each other's nonces; without a store each process has its own. 0 means no nonces. Default: 0. Only
	// with dpop and any.
	Nonce caddy.Duration `json:"nonce,omitempty"`
	// How far the time of a DPoP proof (iat) may be from that of this server, in both directions: 1s to 5m. Default: 1m.
	// Only with dpop and any.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
}

// CertificateHeader is the header in which a proxy that ends TLS hands over the certificate of the client.
type CertificateHeader struct {
	// Name of the header, such as Client-Cert. It counts only from proxies that Caddy trusts (trusted_proxies of the
	// server), and is removed from all other requests. A trusted proxy must set it or remove it on every request.
	Name string `json:"name"`
	// How the certificate is written. "rfc9440": base64 between colons (RFC 9440), as Google's load balancers send it.
	// "pem": PEM in one line, or base64 of DER, as Traefik 3 sends it. "url_pem": percent-encoded PEM, as nginx
	// ($ssl_client_escaped_cert), Amazon's load balancers and Envoy (%DOWNSTREAM_PEER_CERT%) send it.
	Form string `json:"form"`
}
