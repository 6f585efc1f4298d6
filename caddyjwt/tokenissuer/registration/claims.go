package registration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/strictjson"
	"github.com/caddyjwt/gateway/internal/users"
)

// maxMembers is how many claims a client adds to its tokens at most.
const maxMembers = 16

// memberLimits are those of a value. The header of a token is read with one level more.
var memberLimits = strictjson.Limits{Depth: 4, Members: 256}

// members are what a client adds to its tokens, claims or members of the header: any JSON, by their names.
type members = map[string]json.RawMessage

// readMembers reads a name and a value: a text, or JSON after the word json.
func readMembers(word string, field func(*Client) *members) words.Reader[Client] {
	return words.Custom(func(b *words.Block, c *Client) error {
		args := b.Args()
		var value json.RawMessage
		switch {
		case len(args) == 2 && args[1] != "json":
			value = asJSON(args[1])
		case len(args) == 3 && args[1] == "json":
			value = json.RawMessage(args[2])
		default:
			return b.WrongUsage("a text with blanks needs quotes, and JSON needs backquotes")
		}
		all := field(c)
		if _, twice := (*all)[args[0]]; twice {
			return b.Errf("%q is there twice: remove one of the two", args[0])
		}
		if *all == nil {
			*all = make(members)
		}
		(*all)[args[0]] = value
		b.Mark(map[string]string{"claim": "Claims", "header": "Header"}[word] + element(args[0]))
		if err := checkMember(value); err != nil { // what is no JSON could not be written as JSON
			return b.Errf("%s %s: %w", word, args[0], err)
		}
		return nil
	}, func(c *Client) []any { return []any{field(c)} })
}

// element is the field of a value with a name.
func element(name string) string { return "[" + name + "]" }

// asJSON is a text as JSON. One that is no UTF-8 becomes no JSON either.
func asJSON(text string) json.RawMessage {
	if !utf8.ValidString(text) {
		return json.RawMessage(strconv.Quote(text))
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a text can be written
	return bytes.TrimSpace(out.Bytes())
}

// resolveMembers resolves placeholders in values that are texts. In other values there can be none.
func resolveMembers(s *words.Settings, word string, all members) (resolved members, known bool, err error) {
	known = true
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var text string
		if json.Unmarshal(all[name], &text) != nil {
			continue
		}
		text, is, err := s.Text(word+" "+name, text)
		if err != nil {
			return nil, false, setting.In(element(name), err)
		}
		if resolved == nil {
			resolved = maps.Clone(all)
		}
		resolved[name], known = asJSON(text), known && is
	}
	if resolved == nil {
		resolved = all
	}
	return resolved, known, nil
}

// checkMembersWritten checks values as they are written. It refuses placeholders where none are resolved: in values
// that are no texts, and in a file.
func (c *Client) checkMembersWritten(inFile bool) error {
	for _, of := range []struct {
		field, word string
		all         members
	}{{"Claims", "claim", c.Claims}, {"Header", "header", c.Header}} {
		for _, name := range slices.Sorted(maps.Keys(of.all)) {
			value := of.all[name]
			err := checkMember(value)
			if err == nil && (inFile || !bytes.HasPrefix(bytes.TrimSpace(value), []byte(`"`))) {
				err = words.Literal("the value", string(value))
			}
			if err != nil {
				return setting.Errorf(of.field+element(name), "client %q: %s %q: %w", c.ID, of.word, name, err)
			}
		}
	}
	return nil
}

// checkMember refuses a value that two readers could understand in two ways, or that says nothing.
func checkMember(value json.RawMessage) error {
	whole, err := strictjson.Parse(value, memberLimits)
	switch {
	case err != nil:
		return fmt.Errorf("the value is not JSON that everybody reads alike: %w", err)
	case whole.Kind() == strictjson.Null, whole.Equal(""):
		return errors.New("it has no value: leave it out")
	}
	return checkNumbers(whole)
}

// checkNumbers refuses whole numbers that readers may round (RFC 8259 section 6), Caddy among them.
func checkNumbers(value strictjson.Value) (err error) {
	const most = 1<<53 - 1
	if value.Kind() == strictjson.Number {
		if n, failed := strconv.ParseFloat(value.Text(), 64); failed != nil || n > most || n < -most {
			return errors.New("readers may round a number above 9007199254740991: write it as a text")
		}
	}
	for _, of := range value.Members() {
		err = errors.Join(err, checkNumbers(of))
	}
	for of := range value.Elements() {
		err = errors.Join(err, checkNumbers(of))
	}
	return err
}

// checkMembers checks names and values. check says why a name is not possible.
func checkMembers(word string, all members, check func(name string) error) error {
	names := slices.Sorted(maps.Keys(all))
	for i, name := range names {
		err := check(name)
		if err == nil {
			err = checkMember(all[name])
		}
		for _, other := range names[:i] {
			if err == nil && strings.EqualFold(other, name) {
				err = fmt.Errorf("it is there as %q, too, and some readers take one for the other: remove one of the two", other)
			}
		}
		if err != nil {
			return setting.Errorf(element(name), "%s %q: %w", word, name, err)
		}
	}
	return nil
}

// setMembers checks and sets what the client adds to its tokens.
func (c *Client) setMembers(made *clients.Client) error {
	if err := c.checkClaims(); err != nil {
		return setting.In("Claims", fmt.Errorf("client %q: %w", c.ID, err))
	}
	made.Claims = c.Claims
	header := make(map[string]any, len(c.Header))
	for name, value := range c.Header {
		header[name] = value
	}
	err := checkMembers("header", c.Header, keyring.CheckHeader)
	if err == nil && len(header) > 0 {
		made.Header = header
		err = keyring.CheckMembers(header)
	}
	if err != nil {
		return setting.In("Header", fmt.Errorf("client %q: %w", c.ID, err))
	}
	return nil
}

// checkClaims checks the claims. Gates must be able to read a token that has them, as an access token.
func (c *Client) checkClaims() error {
	if len(c.Claims) > maxMembers {
		return fmt.Errorf("claim: at most %d are possible", maxMembers)
	}
	if err := checkMembers("claim", c.Claims, checkClaim); err != nil {
		return err
	}
	if value, has := c.Claims[issuers.RolesClaim]; has {
		var roles []string
		if json.Unmarshal(value, &roles) != nil {
			return setting.Errorf(element(issuers.RolesClaim), "claim roles: write a list of texts, such as claim roles json "+
				"`[\"admin\"]`")
		}
		if err := users.CheckRoles(roles); err != nil {
			return setting.Errorf(element(issuers.RolesClaim), "claim roles: %w", err)
		}
	}
	if len(c.Claims) == 0 {
		return nil
	}
	text, err := json.Marshal(c.Claims)
	if err != nil {
		return errors.New("claim: a value is no JSON")
	}
	if len(text) > users.MaxClaims {
		return fmt.Errorf("claim: all together have %d bytes as JSON, and may have %d", len(text), users.MaxClaims)
	}
	return checkKind(text)
}

// checkKind refuses claims with which gates would not take a token for an access token (RFC 8725 section 3.12).
func checkKind(further json.RawMessage) error {
	token := issuing.Claims{
		Issuer: "i", Subject: "s", ClientID: "s", ID: "j", Audience: []string{"a"}, IssuedAt: time.Unix(1, 0),
		Expires: time.Unix(2, 0), Further: further,
	}
	set, err := claims.Decode(token.Payload())
	if err != nil {
		return fmt.Errorf("claim: gates could not read the tokens: %w", err)
	}
	for _, other := range claims.KindOf(set).Others {
		return setting.Errorf(element(other.By), "claim %q: gates would take the tokens for others than access tokens (%s): "+
			"use another name", other.By, other.Name)
	}
	return nil
}

// checkClaim says why a client may not add a claim. Gates take roles for groups, and an operator may give some to a
// program.
func checkClaim(name string) error {
	if name == issuers.RolesClaim {
		return nil
	}
	return users.CheckClaim(name)
}
