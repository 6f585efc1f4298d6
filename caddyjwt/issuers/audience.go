package issuers

import (
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
)

// AudienceUsage is what follows the word audience.
var AudienceUsage = []string{"<aud...>|any"}

// AudienceReader reads "any", which must stand alone, or values.
func AudienceReader[T any](fields func(*T) (accepted *[]string, everything *bool)) words.Reader[T] {
	return words.Custom(func(b *words.Block, into *T) error {
		accepted, everything := fields(into)
		args, err := b.Many()
		if err != nil {
			return err
		}
		for _, arg := range args {
			if arg == "any" && len(args) > 1 {
				return b.Errf("audience \"any\" cannot be combined with values: remove one of the two")
			}
		}
		if args[0] == "any" {
			*everything = true
			return nil
		}
		*accepted = args
		return b.Check("audience", AudienceMistakes, args...)
	}, func(into *T) []any {
		accepted, everything := fields(into)
		return []any{accepted, everything}
	})
}

// CompileAudience resolves placeholders in the audiences of an issuer or of the handler.
func CompileAudience(s *words.Settings, accepted []string, everything bool) (gate.Audience, error) {
	values, _, err := s.Texts("audience", accepted)
	return gate.Audience{Any: everything, Accepted: values}, setting.In("Audience", err)
}
