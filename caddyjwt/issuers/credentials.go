package issuers

import (
	"log/slog"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/rotating"
	"github.com/caddyjwt/gateway/introspect"
)

// credential is a secret towards the server that follows its files. A client has one secret only.
type credential struct {
	Word     string // that it is written with; empty if no secret follows a file
	Template rotating.Template
	Password string // of a private key
}

// rotates notes that a secret follows its files, if it does. The password is that of a private key.
func (p *Asking) rotates(word string, t rotating.Template, password string) {
	if t.Rotates() {
		p.credential = credential{word, t, password}
	}
}

// renewed are the credentials that a new text means. They have passed the checks that those of the configuration have.
func (i *Introspect) renewed(p *Asking, text string) (found introspect.Credentials, err error) {
	renewed := Asking{Client: p.Client}
	config := &renewed.Client
	switch p.credential.Word {
	case "client_secret":
		config.ClientSecret = text
		if config.AuthMethod == introspect.ClientSecretJWT || config.AssertionAlg != "" {
			err = i.checkAssertionSecret(nil, &renewed)
		}
	case "bearer_token":
		config.BearerToken = text
	default:
		config.PrivateKey, err = parseKey(text, p.credential.Password)
	}
	if err == nil {
		err = renewed.check()
	}
	return introspect.Credentials{
		ClientSecret: config.ClientSecret, PrivateKey: config.PrivateKey, BearerToken: config.BearerToken,
	}, err
}

// renewer makes the function that gives a client its credentials of the moment; nil if they never change.
func (p *Asking) renewer(logger *slog.Logger) func(refused bool) introspect.Credentials {
	if p.credential.Word == "" {
		return nil
	}
	first := introspect.Credentials{
		ClientSecret: p.Client.ClientSecret, PrivateKey: p.Client.PrivateKey, BearerToken: p.Client.BearerToken,
	}
	value := rotating.New(p.credential.Template, first, p.renew, logger.With("setting", p.credential.Word))
	return func(refused bool) introspect.Credentials {
		now, number := value.Get()
		if refused {
			now, number = value.Again(number)
		}
		now.Version = number
		return now
	}
}

// FetchOptions are the settings for requests to the server. The logger hears of header fields that follow files.
func (p *Server) FetchOptions(logger *slog.Logger) fetch.Options {
	options := p.Fetch
	options.Logger = logger.With("issuer", p.Issuer)
	return options
}
