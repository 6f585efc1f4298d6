//go:build e2e

package e2e_test

import (
	"fmt"
	"maps"
	"testing"
)

// oauthLibraries are those that speak with the issuer.
var oauthLibraries = []string{"oauth4webapi", "openid-client"}

const (
	readToken  = "granted bearer read without refresh"
	everyScope = "granted bearer read write without refresh"
	unknown    = "401 invalid_client basic"
	appsPair   = "granted bearer - with refresh"
	noneOfThis = "https://third.example.com"
)

// asks are steps of a client that gets a token, with further parameters.
func asks(client, want string, parameters ...string) clientStep {
	s := clientStep{Do: "token", Client: client, Parameters: make(map[string]string), want: want}
	for i := 0; i < len(parameters); i += 2 {
		s.Parameters[parameters[i]] = parameters[i+1]
	}
	return s
}

// by is the same step after another kind of discovery.
func (s clientStep) by(discovery string) clientStep { s.Discovery = discovery; return s }

// as is the same step, whose token has a name from then on.
func (s clientStep) as(name string) clientStep { s.Save = name; return s }

// about is a step with a token.
func about(do, client, token, want string) clientStep {
	return clientStep{Do: do, Client: client, Token: token, want: want}
}

// Clients show who they are in each way there is, and get tokens with the scopes and for the resource that they name.
func TestOAuthClientsGetTokensOfTheIssuer(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, "verify_if_given")
	pinned := startIssuer(t, "request")
	for _, library := range oauthLibraries {
		t.Run(library, func(t *testing.T) {
			var steps []clientStep
			for _, client := range []string{"basic", "post", "odd", "ES256", "RS256", "PS256", "certificate",
				"renewed certificate"} {
				steps = append(steps,
					asks(client, readToken, "scope", "read", "resource", api),
					asks(client, everyScope).by("oidc"),
					asks(client, "granted bearer write without refresh", "scope", "write", "resource", otherAPI),
					asks(client, "400 invalid_scope", "scope", "read admin"),
					asks(client, "400 invalid_target", "resource", noneOfThis))
			}
			i.speaks(t, library, nil, steps)
			pinned.speaks(t, library, nil, []clientStep{
				asks("self-signed", readToken, "scope", "read"),
				asks("self-signed anew", readToken, "scope", "read"),
				asks("self-signed", "400 invalid_scope", "scope", "admin"),
				asks("self-signed", "400 invalid_target", "resource", noneOfThis),
				asks("another self-signed", unknown),
				asks("no pinned certificate", unknown),
				// Nobody has verified who signed these.
				asks("certificate", unknown),
				asks("self-signed for the name", unknown),
			})
		})
	}
}

// A client that has not shown who it is hears so.
func TestOAuthClientsThatTheIssuerDoesNotKnow(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, "verify_if_given")
	for _, library := range oauthLibraries {
		t.Run(library, func(t *testing.T) {
			i.speaks(t, library, nil, []clientStep{
				asks("wrong secret", unknown),
				asks("nobody", unknown),
				asks("wrong key", unknown),
				asks("no certificate", unknown),
				asks("self-signed for the name", "no connection"),
				about("refresh", "no application", "made up", unknown),
				about("introspect", "wrong key", "x", unknown),
				about("revoke", "no certificate", "x", unknown),
				asks("asker", "400 unauthorized_client"),
				asks("app", "400 unauthorized_client"),
				about("introspect", "basic", "x", "403 unauthorized_client"),
				asks("basic", everyScope), // all the same
			})
		})
	}
}

// The session of a user goes on at the token endpoint. An old refresh token ends it.
func TestOAuthClientsRefreshASession(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, "verify_if_given")
	for _, library := range oauthLibraries {
		t.Run(library, func(t *testing.T) {
			access, refresh := i.login(t)
			tokens := map[string]string{"first": access, "first refresh": refresh}
			isGood, isOut := "active alice /orders/ -", "inactive"
			i.speaks(t, library, maps.Clone(tokens), []clientStep{
				about("introspect", "asker", "first", isGood),
				about("refresh", "app", "first refresh", appsPair).as("second"),
				about("introspect", "asker", "first", isOut),
				about("introspect", "asker", "second", isGood),
				about("refresh", "app", "second refresh", appsPair).by("oidc").as("third"),
				about("introspect", "asker", "third refresh", isOut),
				about("refresh", "basic", "third refresh", "400 unauthorized_client"),
				about("refresh", "app", "third", "400 invalid_grant"),
				about("refresh", "app", "first refresh", "400 invalid_grant"),
				about("refresh", "app", "third refresh", "400 invalid_grant"),
				about("introspect", "asker", "third", isOut),
			})
		})
	}
}

// A client exchanges tokens of users, of other clients and of another issuer, and hands in an assertion.
func TestOAuthClientsExchangeTokens(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, "verify_if_given")
	for _, library := range oauthLibraries {
		t.Run(library, func(t *testing.T) {
			access, _ := i.login(t)
			tokens := map[string]string{
				"alice's": access, "carol's": i.ofOtherIssuer(t, api), "for others": i.ofOtherIssuer(t, otherAPI),
				"assertion": i.ofOtherIssuer(t, i.name+"/oauth2/token"),
			}
			i.speaks(t, library, tokens, []clientStep{
				about("exchange", "trader", "alice's", readToken).as("alice's new one"),
				about("introspect", "asker", "alice's new one", "active alice trader read"),
				about("exchange", "trader", "alice's new one", readToken).by("oidc"),
				about("exchange", "trader", "carol's", everyScope).as("carol's new one"),
				about("introspect", "asker", "carol's new one", "active idp:carol trader read write"),
				about("exchange", "trader", "for others", "400 invalid_request"),
				about("exchange", "basic", "alice's", "400 unauthorized_client"),
				about("exchange", "app", "alice's", "400 unauthorized_client"),
				asks("sealed", readToken, "scope", "read", "resource", api).as("sealed"),
				about("introspect", "asker", "sealed", "active sealed sealed read"),
				about("exchange", "trader", "sealed", readToken),
				about("assert", "trader", "assertion", readToken).as("asserted"),
				about("introspect", "asker", "asserted", "active idp:carol trader read"),
				about("assert", "trader", "assertion", "400 invalid_grant"),
				about("assert", "trader", "carol's", "400 invalid_grant"),
				about("revoke", "sealed", "sealed", "revoked"),
				about("introspect", "asker", "sealed", "inactive"),
				about("exchange", "trader", "sealed", "400 invalid_request"),
			})
		})
	}
}

// Clients revoke their tokens, and nobody else's.
func TestOAuthClientsRevokeTokens(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, "verify_if_given")
	for _, library := range oauthLibraries {
		t.Run(library, func(t *testing.T) {
			access, refresh := i.login(t)
			tokens := map[string]string{"pair": access, "pair refresh": refresh}
			steps := []clientStep{about("introspect", "asker", "pair", "active alice /orders/ -")}
			for n, client := range []string{"basic", "post", "odd", "ES256", "RS256", "certificate"} {
				name := fmt.Sprint("token ", n)
				steps = append(steps,
					asks(client, readToken, "scope", "read", "resource", api).as(name),
					about("introspect", "asker", name, fmt.Sprintf("active %[1]s %[1]s read", i.clients[client].ID)),
					about("revoke", "app", name, "400 unauthorized_client"),
					about("revoke", client, name, "revoked"),
					about("revoke", client, name, "revoked"),
					about("introspect", "asker", name, "inactive"))
			}
			i.speaks(t, library, tokens, append(steps,
				asks("basic", everyScope, "resource", otherAPI).as("elsewhere"),
				about("introspect", "asker", "elsewhere", "inactive"),
				about("revoke", "basic", "pair refresh", "400 unauthorized_client"),
				about("introspect", "asker", "pair", "active alice /orders/ -"),
				about("revoke", "app", "pair refresh", "revoked"),
				about("introspect", "asker", "pair", "inactive"),
				about("refresh", "app", "pair refresh", "400 invalid_grant"),
				about("revoke", "app", "made up", "revoked"),
			))
		})
	}
}
