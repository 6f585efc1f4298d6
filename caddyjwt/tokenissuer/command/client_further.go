package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/pflag"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/caddytext"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
)

// furtherOptions are the flags about what the tokens of a client have, and how long they live.
type furtherOptions struct {
	lifetimes, claims, header []string
	token                     string
}

func (o *furtherOptions) addTo(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.lifetimes, "access-lifetime", nil, "How long its access tokens live, such as 10m, or those "+
		"for one audience, such as 1m=https://api.example.com (default 5m). Repeatable")
	flags.StringArrayVar(&o.claims, "claim", nil,
		"A further claim of its tokens as name=value; a value that is valid JSON is used as JSON. Repeatable")
	flags.StringArrayVar(&o.header, "header", nil,
		"A further member of the JOSE header of its tokens, likewise. Repeatable")
	flags.StringVar(&o.token, "token", "", "What its access tokens are: jwt or opaque (default jwt)")
}

// set sets what the flags say.
func (o *furtherOptions) set(c *registration.Client) (err error) {
	c.Token = o.token
	for _, text := range o.lifetimes {
		if err := addLifetime(c, text); err != nil {
			return fmt.Errorf("--access-lifetime %w", err)
		}
	}
	if c.Claims, err = membersOf("--claim", o.claims); err != nil {
		return err
	}
	c.Header, err = membersOf("--header", o.header)
	return err
}

// addLifetime adds a duration, or a duration=audience.
func addLifetime(c *registration.Client, text string) error {
	if text == "" {
		return errors.New("is empty: is a variable not set? Leave the flag out if it does not matter")
	}
	duration, audience, single := strings.Cut(text, "=")
	parsed, err := caddy.ParseDuration(duration)
	_, twice := c.AccessLifetimes[audience]
	switch lifetime := caddy.Duration(parsed); {
	case err != nil || lifetime <= 0:
		return fmt.Errorf("%q: expected a duration such as 5m, or one with an audience, such as 1m=https://api.example.com",
			text)
	case twice, !single && c.AccessLifetime != 0:
		return fmt.Errorf("%q: there are two for the same: leave one of them out", text)
	case !single:
		c.AccessLifetime = lifetime
	case audience == "":
		return fmt.Errorf("%q: the audience is empty: is a variable not set?", text)
	default:
		if c.AccessLifetimes == nil {
			c.AccessLifetimes = make(map[string]caddy.Duration)
		}
		c.AccessLifetimes[audience] = lifetime
	}
	return nil
}

// membersOf are names and values. A value that is JSON is used as it is, and another one is a text.
func membersOf(flag string, pairs []string) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	for _, pair := range pairs {
		name, value, is := strings.Cut(pair, "=")
		_, twice := all[name]
		switch {
		case !is || name == "" || value == "" || !utf8.ValidString(value):
			return nil, fmt.Errorf("%s %q: expected name=value", flag, pair)
		case twice:
			return nil, fmt.Errorf("%s %q: the name is there twice: leave one of them out", flag, name)
		}
		if all == nil {
			all = make(map[string]json.RawMessage)
		}
		if all[name] = json.RawMessage(value); !json.Valid(all[name]) {
			all[name] = quoted(value)
		}
	}
	return all, nil
}

// quoted is a text as JSON.
func quoted(text string) json.RawMessage {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a text can be written
	return bytes.TrimSpace(out.Bytes())
}

// furtherLines write the same into the block of a client.
func furtherLines(out *caddytext.Writer, c *registration.Client) error {
	line := func(words ...string) (err error) {
		for i, word := range words[1:] {
			if words[i+1], err = token(word); err != nil {
				return err
			}
		}
		out.Line(words...)
		return nil
	}
	var all error
	if c.Token != "" {
		all = errors.Join(all, line("token", c.Token))
	}
	if c.AccessLifetime != 0 {
		all = errors.Join(all, line("access_lifetime", time.Duration(c.AccessLifetime).String()))
	}
	for _, audience := range slices.Sorted(maps.Keys(c.AccessLifetimes)) {
		all = errors.Join(all, line("access_lifetime", time.Duration(c.AccessLifetimes[audience]).String(), audience))
	}
	for _, of := range []struct {
		word    string
		members map[string]json.RawMessage
	}{{"claim", c.Claims}, {"header", c.Header}} {
		for _, name := range slices.Sorted(maps.Keys(of.members)) {
			var text string
			if json.Unmarshal(of.members[name], &text) == nil && text != "json" {
				all = errors.Join(all, line(of.word, name, text))
				continue
			}
			quotedName, err := token(name)
			all = errors.Join(all, err)
			out.Line(of.word, quotedName, "json", jsonToken(of.members[name]))
		}
	}
	return all
}

// jsonToken is JSON as one token of a Caddyfile. A backquote can only be inside of a text, which can have it in another
// spelling.
func jsonToken(value json.RawMessage) string {
	var short bytes.Buffer
	_ = json.Compact(&short, value) // it was checked
	return "`" + strings.ReplaceAll(short.String(), "`", `\u0060`) + "`"
}
