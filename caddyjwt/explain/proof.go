package explain

import "strings"

// proofRequired is the advice for a bound token without its proof, and for one that is not bound where all must be.
func (s *subject) proofRequired() *advice {
	proof := s.config.Proof
	bound := func(how string) bool {
		for _, came := range s.Came {
			if strings.HasPrefix(came, "cnf."+how+" ") {
				return true
			}
		}
		return false
	}
	switch {
	case s.Rule == "binding" && proof != nil && proof.Required:
		return &advice{Note: "The line \"proof\" has \"required\": have the server bind its tokens to a key of the " +
			"client, by DPoP or by its certificate, or remove that word."}
	case s.Rule == "binding":
		return &advice{Note: "Send the token with the scheme Bearer: a DPoP proof counts only for a token that is bound to " +
			"its key (cnf.jkt)."}
	case bound("jkt") && (proof == nil || proof.DPoP == nil):
		return &advice{Note: "Add \"" + s.proofLine("dpop") + "\" " + inGate + ", and have the client send " +
			"\"Authorization: DPoP <token>\" with a proof in the header DPoP. Without a proof, such a token is worth nothing."}
	case bound("jkt") && strings.Contains(s.Detail, "scheme DPoP"):
		return &advice{Note: "Send it as \"Authorization: DPoP <token>\", with a proof in the header DPoP. Here, give " +
			"explain both header lines, or the whole request."}
	case bound("x5t#S256") && (proof == nil || proof.Certificates == nil):
		note := "Have Caddy ask for client certificates, too: see client_auth of its tls."
		if t := s.request.TLS; t != nil && len(t.PeerCertificates) > 0 {
			return &advice{Line: s.proofLine("mtls"), Where: inGate, Note: note}
		}
		return &advice{Note: "Add \"" + s.proofLine("mtls") + "\" " + inGate + ", and have the client show its " +
			"certificate. " + note}
	case bound("x5t#S256"):
		return &advice{Note: "Have the client show its certificate. Here, give it to explain with --client-cert. A proxy " +
			"before Caddy hands it over with \"client_cert_header\", and only if \"trusted_proxies\" names the proxy."}
	}
	return &advice{Note: "Leave the configuration as it is: the token is bound in a way that nobody here can judge. " +
		"Have the server bind it by cnf.jkt or cnf.x5t#S256, or issue bearer tokens for this API."}
}

// proofLine is the line that makes a gate take this kind of proofs beside those that it takes.
func (s *subject) proofLine(kind string) string {
	if proof := s.config.Proof; proof != nil {
		kind = "any"
		if proof.Required {
			kind += " required"
		}
	}
	return "proof " + kind
}

// invalidProof is the advice for a proof that does not fit the request.
func (s *subject) invalidProof() *advice {
	switch {
	case strings.Contains(s.Detail, ": iat "):
		return &advice{Note: "Make a new proof for each request: proofs live for max_age only, which is " +
			s.config.Proof.DPoP.MaxAge.String() + " here. \"caddy bearer-auth mint --dpop-proof\" makes a token with a new " +
			"one. If the proof was new, compare the clocks."}
	case strings.Contains(s.Detail, ": htu "):
		return &advice{Note: "Make the proof for the address as the client uses it. If a proxy before Caddy changes " +
			"scheme or host, name it in \"trusted_proxies\", or write the line \"resource\" with the address of the API."}
	case strings.Contains(s.Detail, ": htm "):
		return &advice{Note: "Make the proof for the method of the request, in the same letters."}
	case strings.Contains(s.Detail, ": ath "), strings.HasSuffix(s.Detail, "no ath"):
		return &advice{Note: "Make the proof for this token: \"ath\" is the hash of the token that comes with it."}
	case strings.HasPrefix(s.Detail, "the request has no DPoP proof"):
		return &advice{Note: "Send a proof in the header DPoP. To try that out, \"caddy bearer-auth mint --dpop-proof\" " +
			"prints both header lines."}
	}
	return &advice{Note: "Have the client make its proofs as RFC 9449 section 4.2 says, a new one for each request, and " +
		"send one header DPoP. \"caddy bearer-auth mint --dpop-proof\" makes a good one to compare."}
}

// otherKey is the advice for a proof by another key, or for another certificate.
func (s *subject) otherKey() *advice {
	if strings.Contains(s.Detail, "certificate") {
		return &advice{Note: "Have the client get a new token with the certificate that it has now: the token is bound to " +
			"another, perhaps to one that was renewed. If the client is not the owner of the token, revoke the token."}
	}
	return &advice{Note: "Have the client sign proofs with the key with which it got the token, or get a new token " +
		"with its key of now. If the client is not the owner of the token, revoke the token."}
}
