package clients

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/setting"
)

// Exchange says which tokens of an issuer a client can hand in, and what it gets for them: a token in the name of their
// subject.
type Exchange struct {
	// From is the issuer of the tokens, as it is configured.
	From string
	// Own says that it is the issuer that has the client.
	Own bool
	// Grant is how they are handed in: TokenExchange or JWTBearer.
	Grant Grant
	// Accepted are audiences of which a token must have one. Without them, it must be for the client itself. There are
	// none with JWTBearer: an assertion must be for the issuer.
	Accepted []string
	// Audiences and Scopes are what the new token may have. Without Audiences, they are those of the client.
	Audiences, Scopes []string
	// Claims are names of claims that the new token has from the one before.
	Claims []string
	// Prefix is put before the subject.
	Prefix string
}

// MaxExchanges is how many exchanges a client has at most.
const MaxExchanges = 16

// maxPrefixes bounds how many prefixes there are in a set.
const maxPrefixes = 64

// Exchange is how the client exchanges tokens of an issuer; nil if it must not.
func (c *Client) Exchange(by Grant, from string) *Exchange {
	at := slices.IndexFunc(c.Exchanges, func(e Exchange) bool { return e.Grant == by && e.From == from })
	if at < 0 {
		return nil
	}
	return &c.Exchanges[at]
}

// checkExchanges refuses exchanges that cannot be meant.
func (c *Client) checkExchanges() error {
	if len(c.Exchanges) > MaxExchanges {
		return setting.Errorf("Exchanges", "client %q: at most %d exchanges are possible", c.ID, MaxExchanges)
	}
	for i := range c.Exchanges {
		e := &c.Exchanges[i]
		if err := c.checkExchange(e); err != nil {
			return setting.In(setting.Element("Exchanges", i), fmt.Errorf("client %q: exchange from %s: %w", c.ID, e.From, err))
		}
		if first := c.Exchange(e.Grant, e.From); first != e {
			return setting.Errorf(setting.Element("Exchanges", i), "client %q: exchange from %s is there twice: put all into "+
				"one block", c.ID, e.From)
		}
	}
	if len(c.Exchanges) > 0 && c.AccessLifetime < time.Second {
		return setting.Errorf("AccessLifetime", "client %q: its tokens would have no life", c.ID)
	}
	return nil
}

func (c *Client) checkExchange(e *Exchange) error {
	for _, list := range []struct {
		field, word string
		values      []string
		good        func(string) bool
	}{
		{"Accepted", "subject_audience", e.Accepted, isText},
		{"Audiences", "audience", e.Audiences, isText},
		{"Scopes", "scopes", e.Scopes, isScope},
		{"Claims", "claims", e.Claims, func(name string) bool { return name != "" && len(name) <= MaxValue }},
	} {
		if len(list.values) > MaxList {
			return setting.Errorf(list.field, "%s takes at most %d values", list.word, MaxList)
		}
		for i, value := range list.values {
			if !list.good(value) {
				return setting.Errorf(list.field, "%s %q: a value has 1 to %d printable characters, and in scopes neither a "+
					"blank nor \" nor \\ (RFC 6749 section 3.3)", list.word, value, MaxValue)
			}
			if slices.Contains(list.values[:i], value) {
				return setting.Errorf(list.field, "%s %q is there twice", list.word, value)
			}
		}
	}
	switch {
	case e.From == "":
		return setting.Errorf("From", "it names no issuer")
	case e.Grant == JWTBearer && len(e.Accepted) > 0:
		return setting.Errorf("Accepted", "subject_audience: an assertion must be for this issuer (RFC 7523 section 3): "+
			"remove it")
	case e.Grant != TokenExchange && e.Grant != JWTBearer:
		return setting.Errorf("Grant", "grant: tokens are handed in by token_exchange or jwt_bearer")
	case len(e.Audiences) == 0 && len(c.Audiences) == 0:
		return setting.Errorf("Audiences", "the new tokens would be for nobody: add audience, with the name of the resource "+
			"that they are for, or default_audience to the issuer")
	case e.Prefix != "" && !isText(e.Prefix):
		return setting.Errorf("Prefix", "subject_prefix %q: it has 1 to %d printable ASCII characters", e.Prefix, MaxValue)
	}
	return nil
}

// prefixes are how the subjects of other issuers begin in the tokens of this one.
type prefixes []prefixOf

type prefixOf struct{ from, prefix string }

// add adds that of an exchange. Subjects of two issuers must not become one: each stands for one person or program (RFC
// 7519 section 4.1.2). So none of the prefixes begins as another one does. users says that users sign in here, too.
func (p *prefixes) add(e *Exchange, users bool) error {
	switch {
	case e.Own && e.Prefix != "":
		return setting.Errorf("Prefix", "exchange from %s: subject_prefix: the subjects of the issuer itself stay as they "+
			"are: remove it", e.From)
	case e.Own, slices.Contains(*p, prefixOf{e.From, e.Prefix}):
		return nil
	case e.Prefix == "" && users:
		return setting.Errorf("Prefix",
			"exchange from %s: its subjects could be names of users who sign in here, and nobody "+
				"could tell them apart: add \"subject_prefix <text>\", such as \"subject_prefix idp:\"", e.From)
	case len(*p) == maxPrefixes:
		return setting.Errorf("Prefix", "exchange: at most %d different subject_prefix are possible", maxPrefixes)
	}
	for _, other := range *p {
		if other.from == e.From {
			return setting.Errorf("Prefix",
				"exchange from %s: subject_prefix %q is another one than %q elsewhere, and two of "+
					"its subjects could become one: write the same everywhere", e.From, e.Prefix, other.prefix)
		}
		if strings.HasPrefix(other.prefix, e.Prefix) || strings.HasPrefix(e.Prefix, other.prefix) {
			return setting.Errorf("Prefix", "exchange from %s: its subjects could be those of %s, and nobody could tell them "+
				"apart: give both a subject_prefix, such as \"subject_prefix idp:\", of which none begins as the other",
				e.From, other.from)
		}
	}
	*p = append(*p, prefixOf{e.From, e.Prefix})
	return nil
}

// has reports whether a name begins as subjects of another issuer do.
func (p prefixes) has(name string) bool {
	return slices.ContainsFunc(p, func(of prefixOf) bool { return of.prefix != "" && strings.HasPrefix(name, of.prefix) })
}

// checkSubjects refuses exchanges by which two could have one subject.
func (s *Set) checkSubjects(list []Client) error {
	users := slices.ContainsFunc(list, func(c Client) bool { return c.IsPublic() })
	for i := range list {
		for n := range list[i].Exchanges {
			if err := s.prefixes.add(&list[i].Exchanges[n], users); err != nil {
				at := setting.Element("", i) + "." + setting.Element("Exchanges", n)
				return setting.In(at, fmt.Errorf("client %q: %w", list[i].ID, err))
			}
		}
	}
	for i := range list {
		if s.prefixes.has(list[i].ID) {
			return setting.Errorf(setting.Element("", i)+".ID", "client %q: subjects of another issuer begin like this "+
				"(subject_prefix), and one could be taken for the client: rename one of the two", list[i].ID)
		}
	}
	return nil
}

// IsTaken reports whether a name is that of a client, or could be that of a subject of another issuer. No user must
// have it: the tokens of both would have one subject (RFC 9700 section 4.15).
func (s *Set) IsTaken(name string) bool { return s.byID[name] != nil || s.prefixes.has(name) }

// Has reports whether a client may use a grant.
func (s *Set) Has(g Grant) bool { return slices.Contains(s.grants, g) }
