// Command dex is a dex on loopback, for "make e2e-all". It is a module of its own, so that the gateway's go.mod knows
// nothing of it. dex has no version that Go's tools accept, so go.mod names the commit of v2.41.1.
//
// It prints one line of JSON with its issuer, and ends when its standard input is closed, so that it cannot outlive the
// test that started it. Its one user signs in without a password, by dex's own mock connector.
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

	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	"github.com/prometheus/client_golang/prometheus"
)

func main() {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	issuer := "http://" + listener.Addr().String() + "/dex"

	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	store := memory.New(logger)
	mock := storage.Connector{ID: "mock", Type: "mockCallback", Name: "mock", Config: []byte("{}")}
	if err := store.CreateConnector(context.Background(), mock); err != nil {
		log.Fatal(err)
	}
	// The client "jwt" is a web page, and "orders-api" is the API that trusts it.
	callback := []string{"http://localhost:9999/auth/callback"}
	for _, client := range []storage.Client{
		{ID: "jwt", Secret: "secret", Name: "jwt", RedirectURIs: callback},
		{ID: "orders-api", Secret: "secret", Name: "orders-api", RedirectURIs: callback, TrustedPeers: []string{"jwt"}},
	} {
		if err := store.CreateClient(context.Background(), client); err != nil {
			log.Fatal(err)
		}
	}
	refreshing, err := server.NewRefreshTokenPolicy(logger, false, "", "", "")
	if err != nil {
		log.Fatal(err)
	}
	handler, err := server.NewServer(context.Background(), server.Config{
		Issuer: issuer, Storage: store, SkipApprovalScreen: true, RefreshTokenPolicy: refreshing, Logger: logger,
		PrometheusRegistry: prometheus.NewRegistry(),
	})
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(listener, handler)) }()

	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"issuer": issuer}); err != nil {
		log.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}
