package kong

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/caddyjwt/command/kong/caddytext"
	"github.com/caddyjwt/gateway/caddyjwt/command/kong/deckfile"
)

// The snippets with the consumers: their secrets are text, or base64 where the plugin says so.
const (
	consumersSnippet       = "kong-consumers"
	consumersSnippetBase64 = "kong-consumers-base64"
)

// consumersFor is the snippet for a plugin.
func (c *converter) consumersFor(base64 bool) string {
	name := pick(base64, consumersSnippetBase64, consumersSnippet)
	if _, written := c.snippets[name]; !written {
		c.snippets[name], c.verifies[name] = c.consumers(base64)
	}
	return name
}

// knowConsumers finds out which consumers can be converted.
func (c *converter) knowConsumers() {
	names := map[string]bool{}
	for i, consumer := range c.file.Consumers {
		why := c.whyNot(i)
		if why == "" && names[consumer.Username] {
			why = "another one has the same username"
		}
		if why != "" {
			c.add("line %d: consumer %q: not converted, its tokens are refused: %s",
				consumer.Line, cmp.Or(consumer.Username, consumer.CustomID, consumer.ID), why)
			continue
		}
		names[consumer.Username], c.good[i] = true, true
	}
}

// credentialsOfOthers are fields with credentials of plugins that are not converted.
var credentialsOfOthers = []string{
	"basicauth_credentials", "keyauth_credentials", "keyauth_enc_credentials", "hmacauth_credentials",
	"oauth2_credentials", "mtls_auth_credentials",
}

// whyNot says why the consumer at a place cannot be converted.
func (c *converter) whyNot(at int) string {
	consumer := c.file.Consumers[at]
	if consumer.Username == "" {
		return "it has no username"
	}
	if plugin := c.blockedBy(at); plugin != "" {
		return fmt.Sprintf("its plugin %q may refuse it", plugin)
	}
	if len(consumer.Groups) > 0 {
		c.add("line %d: consumer %q: its consumer groups: not converted", consumer.Line, consumer.Username)
	}
	for _, name := range consumer.Unknown.Names() {
		if !slices.Contains(credentialsOfOthers, name) {
			return fmt.Sprintf("it has the field %q", name)
		}
		c.add("line %d: consumer %q: %s: not converted", consumer.Line, consumer.Username, name)
	}
	name, err := caddytext.Quote(consumer.Username)
	if err != nil {
		return fmt.Sprintf("its username: %v", err)
	}
	block, err := consumerBlock(consumer, "")
	if err == nil {
		err = loads(block + "anonymous " + name + "\n")
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// consumerBlock is the block of a consumer, with its credentials.
func consumerBlock(consumer deckfile.Consumer, credentials string) (string, error) {
	var groups []string
	for _, acl := range consumer.ACLs {
		groups = append(groups, acl.Group)
	}
	var w caddytext.Writer
	name, err := caddytext.Quote(consumer.Username)
	if err != nil {
		return "", fmt.Errorf("its username: %w", err)
	}
	w.Block(func() {
		for _, line := range []struct {
			word   string
			values []string
		}{{"id", given(consumer.ID)}, {"custom_id", given(consumer.CustomID)}, {"groups", groups}} {
			if len(line.values) > 0 {
				err = errors.Join(err, w.Values(line.word, line.values...))
			}
		}
		w.Lines(credentials)
	}, "consumer", name)
	return w.String(), err
}

// given is a list of a value, if there is one.
func given(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// consumers writes all consumers that could be converted. It reports whether one has a credential.
func (c *converter) consumers(base64 bool) (text string, verifies bool) {
	var w caddytext.Writer
	for i, consumer := range c.file.Consumers {
		if !c.good[i] {
			continue
		}
		credentials, some := c.credentials(consumer, base64)
		block, err := consumerBlock(consumer, credentials)
		if err == nil { // otherwise it would not be good
			w.Lines(block)
			verifies = verifies || some
		}
	}
	return w.String(), verifies
}

// credentials writes the credentials of a consumer that a gate can load. It reports whether there is one.
func (c *converter) credentials(consumer deckfile.Consumer, base64 bool) (text string, some bool) {
	var w caddytext.Writer
	for _, credential := range consumer.Credentials {
		text, err := credentialBlock(credential, base64)
		if err == nil {
			err = loadsWith(consumer, text)
		}
		if err != nil {
			note := c.add("line %d: consumer %q, credential %q: not converted, its tokens are refused: %v",
				credential.Line, consumer.Username, credential.Key, err)
			w.Comment("NOT CONVERTED: %s", note)
			continue
		}
		some = true
		w.Lines(text)
	}
	return w.String(), some
}

// credentialBlock is the block of a credential.
func credentialBlock(credential deckfile.Credential, base64 bool) (string, error) {
	for _, name := range credential.Unknown.Names() {
		return "", fmt.Errorf("it has the field %q", name)
	}
	key, err := caddytext.Quote(credential.Key)
	if err != nil {
		return "", fmt.Errorf("its key: %w", err)
	}
	var w caddytext.Writer
	w.Block(func() {
		err = errors.Join(w.Values("algorithm", credential.Algorithm), writeKey(&w, credential, base64))
	}, "credential", key)
	return w.String(), err
}

// writeKey writes what verifies the tokens. Kong demands a public key for other algorithms than HS, and a secret that
// nobody uses.
func writeKey(w *caddytext.Writer, credential deckfile.Credential, base64 bool) error {
	if !strings.HasPrefix(credential.Algorithm, "HS") {
		return w.Values("public_key", strings.TrimSpace(credential.PublicKey))
	}
	secret, err := caddytext.Quote(credential.Secret)
	if err != nil {
		return fmt.Errorf("its secret: %w", err)
	}
	if base64 {
		secret += " base64"
	}
	w.Line("secret", secret)
	return nil
}

// loadsWith is the error with which a gate with one credential would not load.
func loadsWith(consumer deckfile.Consumer, credential string) error {
	block, err := consumerBlock(consumer, credential)
	if err != nil {
		return err
	}
	return loads(block)
}

// loads is the error with which a gate would not load. The gate has another consumer, too, since it would not load
// without a credential.
func loads(inside string) error {
	name, secret := rand.Text(), rand.Text()+rand.Text()
	other := fmt.Sprintf("consumer %[1]s {\ncredential %[1]s {\nalgorithm HS256\nsecret %[2]s\n}\n}\n", name, secret)
	text := "bearer_auth {\n" + other + inside + "}"
	err := new(caddyjwt.Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimSpace(placeInTest.ReplaceAllString(err.Error(), "")))
}

// placeInTest is a line of the text that loads reads, which nobody else knows.
var placeInTest = regexp.MustCompile(`,? at Testfile:\d+`)

// expanded is a block with the consumers in place of the import.
func (c *converter) expanded(block string) string {
	for name, text := range c.snippets {
		block = strings.Replace(block, "import "+name+"\n", text, 1)
	}
	return block
}
