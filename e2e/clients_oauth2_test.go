//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// tokenURL is the address of tokens.
func (i *issuer) tokenURL() string { return i.name + "/oauth2/token" }

// with is a context in which golang.org/x/oauth2 reaches the issuer.
func (i *issuer) with(t *testing.T) context.Context {
	return context.WithValue(t.Context(), oauth2.HTTPClient, i.http)
}

// codeOf is the status and the error that the package reports.
func codeOf(err error) string {
	if failed, is := errors.AsType[*oauth2.RetrieveError](err); is {
		return fmt.Sprint(failed.Response.StatusCode, " ", failed.ErrorCode)
	}
	return fmt.Sprint(err)
}

// Programs in Go get tokens with a secret, wherever the package puts it, also when it finds that out by itself.
func TestXOAuth2GetsTokensOfTheIssuer(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, "verify_if_given")
	for name, style := range map[string]oauth2.AuthStyle{
		"header": oauth2.AuthStyleInHeader, "form": oauth2.AuthStyleInParams, "by itself": oauth2.AuthStyleAutoDetect,
	} {
		t.Run(name, func(t *testing.T) {
			config := clientcredentials.Config{
				ClientID: oddClient, ClientSecret: oddSecret, TokenURL: i.tokenURL(), AuthStyle: style,
				Scopes: []string{"read", "write"}, EndpointParams: url.Values{"resource": {api}},
			}
			token, err := config.Token(i.with(t))
			if err != nil {
				t.Fatal(err)
			}
			i.hides(token.AccessToken)
			if left := time.Until(token.Expiry); token.Type() != "Bearer" || token.RefreshToken != "" ||
				token.Extra("scope") != "read write" || left < 4*time.Minute || left > 5*time.Minute {
				t.Errorf("type %q, scope %q, for %v", token.Type(), token.Extra("scope"), left)
			}
			if status := i.status(t, token.AccessToken); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
			for want, change := range map[string]func(c *clientcredentials.Config){
				"400 invalid_scope":  func(c *clientcredentials.Config) { c.Scopes = []string{"admin"} },
				"400 invalid_target": func(c *clientcredentials.Config) { c.EndpointParams = url.Values{"resource": {noneOfThis}} },
				"401 invalid_client": func(c *clientcredentials.Config) { c.ClientSecret = "wrong" },
			} {
				wrong := config
				change(&wrong)
				if _, err := wrong.Token(i.with(t)); codeOf(err) != want {
					t.Errorf("%v, want %s", err, want)
				}
			}
		})
	}
}

// A program in Go has a session of a user, and refreshes it. The package tries Basic without a secret first, and that
// uses no token up.
func TestXOAuth2RefreshesASession(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, "verify_if_given")
	for name, style := range map[string]oauth2.AuthStyle{
		"form": oauth2.AuthStyleInParams, "by itself": oauth2.AuthStyleAutoDetect,
	} {
		t.Run(name, func(t *testing.T) {
			access, refresh := i.login(t)
			config := oauth2.Config{
				ClientID: "/orders/", Endpoint: oauth2.Endpoint{TokenURL: i.tokenURL(), AuthStyle: style},
			}
			next := &oauth2.Token{AccessToken: access, RefreshToken: refresh}
			for range 3 {
				before := *next
				before.Expiry = time.Now().Add(-time.Minute)
				var err error
				if next, err = config.TokenSource(i.with(t), &before).Token(); err != nil {
					t.Fatal(err)
				}
				i.hides(next.AccessToken, next.RefreshToken)
				if next.RefreshToken == before.RefreshToken || next.Type() != "Bearer" || !next.Valid() {
					t.Errorf("the next pair: type %q, for %v", next.Type(), time.Until(next.Expiry))
				}
				if old, now := i.status(t, before.AccessToken), i.status(t, next.AccessToken); old != http.StatusUnauthorized ||
					now != http.StatusOK {
					t.Errorf("status %d with the old token, %d with the new one", old, now)
				}
			}
			for _, used := range []string{refresh, next.RefreshToken} { // the first one ends the session of the second one
				_, err := config.TokenSource(i.with(t), &oauth2.Token{RefreshToken: used}).Token()
				if codeOf(err) != "400 invalid_grant" {
					t.Errorf("%v, want invalid_grant", err)
				}
			}
			if status := i.status(t, next.AccessToken); status != http.StatusUnauthorized {
				t.Errorf("status %d after the session has ended", status)
			}
		})
	}
}

// The package has no functions for these grants, and lets programs name them.
func TestXOAuth2ExchangesTokens(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, "verify_if_given")
	access, _ := i.login(t)
	assertion := i.ofOtherIssuer(t, i.name)
	for grant, parameters := range map[string]url.Values{
		"urn:ietf:params:oauth:grant-type:token-exchange": {
			"subject_token": {access}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		},
		"urn:ietf:params:oauth:grant-type:jwt-bearer": {"assertion": {assertion}},
	} {
		parameters.Set("grant_type", grant)
		config := clientcredentials.Config{
			ClientID: "trader", ClientSecret: oddSecret, TokenURL: i.tokenURL(), AuthStyle: oauth2.AuthStyleInHeader,
			EndpointParams: parameters,
		}
		token, err := config.Token(i.with(t))
		if err != nil {
			t.Fatalf("%s: %v", grant, err)
		}
		i.hides(token.AccessToken)
		if status := i.status(t, token.AccessToken); status != http.StatusOK || token.Extra("scope") != "read" {
			t.Errorf("%s: status %d, scope %v", grant, status, token.Extra("scope"))
		}
	}
}
