package caddyjwt

import (
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func (b *block) consumer(consumers *[]Consumer) error {
	var consumer Consumer
	if err := b.plain(&consumer.Username); err != nil {
		return err
	}
	err := b.each("consumer", func(word string) error {
		switch word {
		case "id":
			return b.text(&consumer.ID)
		case "custom_id":
			return b.text(&consumer.CustomID)
		case "groups":
			return b.plains(&consumer.Groups)
		case "credential":
			return b.credential(&consumer.Credentials)
		default:
			return b.unknown()
		}
	})
	*consumers = append(*consumers, consumer)
	return err
}

func (b *block) credential(credentials *[]Credential) error {
	var credential Credential
	start := *b.d
	if err := b.plain(&credential.Key); err != nil {
		return err
	}
	err := b.each("credential", func(word string) error {
		switch word {
		case "algorithm":
			return b.text(&credential.Algorithm)
		case "public_key":
			return b.text(&credential.PublicKey)
		case "secret":
			return b.secret(&credential)
		default:
			return b.unknown()
		}
	})
	if err != nil {
		return err
	}
	if _, err := credential.compile(caddy.NewReplacer(), time.Now()); err != nil {
		return b.blame(start, err, func(again *block) error { return again.credential(new([]Credential)) })
	}
	*credentials = append(*credentials, credential)
	return nil
}

func (b *block) secret(c *Credential) error {
	args := b.d.RemainingArgs()
	switch {
	case len(args) < 1 || len(args) > 2 || strings.TrimSpace(args[0]) == "", len(args) == 2 && args[1] != "base64":
		// Not quoted: what is too much may be the second half of a secret with a blank in it.
		return b.d.Err("expected: secret <value> [base64]; " +
			"a value with blanks in it is put in quotes, and an unset variable is none")
	}
	c.Secret, c.Base64 = args[0], len(args) == 2
	return nil
}
