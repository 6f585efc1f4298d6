package doubts

import (
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/internal/jose"
)

// exampleSecret is the secret in Caddyfile.example, which everybody knows.
const exampleSecret = "only-for-trying-out-0123456789abcdef"

// example warns when the example has become somebody's configuration.
func (g *Gate) example(warn Warn) {
	for _, consumer := range g.Consumers {
		for _, credential := range consumer.Credentials {
			if credential.Secret == exampleSecret {
				warn("the secret of the example is in use: anybody can make tokens for this consumer; "+
					"make your own with \"openssl rand -hex 32\"", zap.String("consumer", consumer.Username))
			}
		}
	}
}

// secrets names secrets that may not be random. Those that plainly are not have been refused.
func (g *Gate) secrets(warn Warn) {
	doubtful := func(doubt string, where ...zap.Field) {
		if doubt != "" {
			warn(jose.DoubtWarning(doubt), where...)
		}
	}
	for i := range g.Plans {
		plan := &g.Plans[i]
		for _, source := range plan.Sources {
			for _, key := range source.Static {
				doubtful(key.Doubt(), zap.String("issuer", plan.Issuer.Name), zap.String("setting", "keys secret"))
			}
		}
		if plan.Asking != nil {
			doubtful(plan.Asking.Doubt, zap.String("issuer", plan.Issuer.Name), zap.String("setting", "client_secret"))
		}
	}
	for _, consumer := range g.Config.Consumers {
		for _, credential := range consumer.Credentials {
			doubtful(credential.Verifier.Doubt(),
				zap.String("consumer", consumer.Username), zap.String("credential", credential.Key))
		}
	}
}
