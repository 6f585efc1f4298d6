// Command zitadel is the example OpenID Provider of github.com/zitadel/oidc on loopback, for "make e2e-all". It is a
// module of its own, so that the gateway's go.mod knows nothing of it.
//
// It prints one line of JSON with its issuer, and ends when its standard input is closed, so that it cannot outlive the
// test that started it. These things differ from the example as published: the system chooses the port, the server
// listens on loopback only, and the client "jwt" gets JWTs as access tokens, with a role. The example's own clients get
// opaque ones.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The clients. Both have the secret "secret", and the example makes a client the audience of its tokens.
const (
	jwtClient    = "jwt"
	opaqueClient = "opaque"
)

func main() {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	issuer := "http://" + listener.Addr().String() + "/" // the example's issuer ends with a slash, too

	storage.RegisterClients(storage.WebClient(jwtClient, "secret"), storage.WebClient(opaqueClient, "secret"))
	handler := exampleop.SetupServer(issuer, store{storage.NewStorage(storage.NewUserStore(issuer))},
		slog.New(slog.NewTextHandler(os.Stderr, nil)), false)
	go func() { log.Fatal(http.Serve(listener, handler)) }()

	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"issuer": issuer}); err != nil {
		log.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// store is the example's storage, which has no client that gets JWTs.
type store struct{ *storage.Storage }

func (s store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	client, err := s.Storage.GetClientByClientID(ctx, id)
	if err == nil && id == jwtClient {
		client = jwtTokens{client}
	}
	return client, err
}

// GetPrivateClaimsFromScopes adds a role to JWTs, in the form of Zitadel itself.
func (s store) GetPrivateClaimsFromScopes(
	ctx context.Context, userID, clientID string, scopes []string,
) (map[string]any, error) {
	claims, err := s.Storage.GetPrivateClaimsFromScopes(ctx, userID, clientID, scopes)
	if claims == nil {
		claims = make(map[string]any)
	}
	claims["urn:zitadel:iam:org:project:roles"] = map[string]any{"clerk": map[string]string{"1": "example.com"}}
	return claims, err
}

type jwtTokens struct{ op.Client }

func (jwtTokens) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
