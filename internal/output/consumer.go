package output

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/identity"
	"github.com/caddyjwt/gateway/internal/setting"
)

// aboutConsumers are the headers of InterSystems API Manager and Kong from which the backend learns who is calling.
var aboutConsumers = []string{"X-Consumer-Id", "X-Consumer-Custom-Id", "X-Consumer-Username", "X-Consumer-Groups",
	"X-Credential-Identifier", "X-Anonymous-Consumer"}

// The places in aboutConsumers.
const (
	consumerID = iota
	consumerCustomID
	consumerUsername
	consumerGroups
	credential
	anonymous
)

// consumerHeaders is the output about a consumer. Bit i is set if aboutConsumers[i] is not sent.
type consumerHeaders uint8

// consumerHeaders finds out which headers are sent.
func (s *Settings) consumerHeaders() (hidden consumerHeaders, err error) {
	if len(s.ConsumerHeaders) == 0 {
		return 0, nil
	}
	if !s.NamesCallers {
		return 0, setting.Errorf("ConsumerHeaders",
			"consumer_headers says what the backend gets about consumers, and there is none: remove it, or add a consumer")
	}
	hidden = 1<<len(aboutConsumers) - 1
	if slices.Equal(s.ConsumerHeaders, []string{"off"}) {
		return hidden, nil
	}
	for i, name := range s.ConsumerHeaders {
		known := slices.IndexFunc(aboutConsumers, func(of string) bool { return strings.EqualFold(of, name) })
		switch {
		case known < 0 && name == "off":
			return 0, setting.Errorf(setting.Element("ConsumerHeaders", i),
				"consumer_headers off sends none of them: remove it, or the names beside it")
		case known < 0:
			return 0, setting.Errorf(setting.Element("ConsumerHeaders", i), "consumer_headers %q: expected off, or some of %s",
				name, strings.Join(aboutConsumers, ", "))
		case hidden&(1<<known) == 0:
			return 0, setting.Errorf(setting.Element("ConsumerHeaders", i), "consumer_headers names %s twice: remove one", name)
		}
		hidden &^= 1 << known
	}
	return hidden, nil
}

// Names implements Output. It has the hidden ones, too: a client must not send them.
func (consumerHeaders) Names() []string { return aboutConsumers }

// Write implements Output.
func (hidden consumerHeaders) Write(h http.Header, id *identity.Identity) error {
	if consumer := id.Consumer; consumer != nil {
		hidden.set(h, consumerID, consumer.ID)
		hidden.set(h, consumerCustomID, consumer.CustomID)
		hidden.set(h, consumerUsername, consumer.Username)
		hidden.set(h, consumerGroups, strings.Join(consumer.Groups, ","))
		hidden.set(h, credential, id.CredentialKey)
	}
	hidden.set(h, consumerUsername, id.Name())
	if id.Anonymous {
		hidden.set(h, anonymous, "true")
	}
	return nil
}

func (hidden consumerHeaders) set(h http.Header, i int, value string) {
	if hidden&(1<<i) == 0 {
		setField(h, aboutConsumers[i], value)
	}
}
