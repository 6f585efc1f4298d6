package registration

import (
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

// Exchange lets the client hand in tokens of an issuer, and get tokens in the name of their subjects.
type Exchange struct {
	// Issuer of the tokens: this token_issuer itself, or one of its issuers. Placeholders are resolved.
	From string `json:"from"`
	// How tokens are handed in: "token_exchange" as subject_token (RFC 8693), for a service that calls another one for its
	// caller; or "jwt_bearer" as assertion (RFC 7523), for JWTs that their issuer has made for this one. Default:
	// token_exchange.
	Grant string `json:"grant,omitempty"`
	// Audiences of which a token must have one to be handed in. Only with token_exchange: an assertion must be for the
	// issuer itself or its token endpoint. Placeholders are resolved. Default: the id of the client.
	SubjectAudience []string `json:"subject_audience,omitempty"`
	// Resources that the new token may be for. Placeholders are resolved. Default: the audience of the client.
	Audience []string `json:"audience,omitempty"`
	// Scopes that the new token may have, whatever those of the token before are. A request that names none gets all of
	// them. Default: none.
	Scopes []string `json:"scopes,omitempty"`
	// Names of claims that the new token has from the one before. Default: none.
	Claims []string `json:"claims,omitempty"`
	// What is put before the subject. It is required for tokens of another issuer if this one has applications, or if
	// there are tokens of several others: two of their users could have one name. Default: nothing.
	SubjectPrefix string `json:"subject_prefix,omitempty"`
}

// exchangeTable has the words of the block of an exchange.
var exchangeTable = words.Table[Exchange]{Name: "exchange", Words: []words.Word[Exchange]{
	{Name: "grant", Usage: []string{"token_exchange|jwt_bearer"},
		Reader: words.Text(func(e *Exchange) *string { return &e.Grant })},
	{Name: "subject_audience", Usage: []string{"<aud...>"}, Reader: words.Texts(
		func(e *Exchange) *[]string { return &e.SubjectAudience }, audienceMistakes...)},
	{Name: "audience", Usage: []string{"<aud...>"}, Reader: words.Texts(func(e *Exchange) *[]string { return &e.Audience },
		audienceMistakes...)},
	{Name: "scopes", Usage: []string{"<scope...>"},
		Reader: words.Texts(func(e *Exchange) *[]string { return &e.Scopes }, words.CommaList)},
	{Name: "claims", Usage: []string{"<name...>"},
		Reader: words.Texts(func(e *Exchange) *[]string { return &e.Claims }, words.CommaList)},
	{Name: "subject_prefix", Usage: []string{"<text>"},
		Reader: words.Text(func(e *Exchange) *string { return &e.SubjectPrefix })},
}}

// readExchange reads whose tokens the client can hand in.
func readExchange(b *words.Block, c *Client) error {
	args := b.Args()
	if len(args) != 2 || args[0] != "from" {
		return b.WrongUsage("name the issuer of the tokens")
	}
	e := Exchange{From: args[1]}
	err := words.ReadInto(b, setting.Element("Exchange", len(c.Exchange)), &exchangeTable, &e)
	c.Exchange = append(c.Exchange, e)
	return err
}

// grantOf are the values of grant.
var grantOf = map[string]clients.Grant{
	"": clients.TokenExchange, "token_exchange": clients.TokenExchange, "jwt_bearer": clients.JWTBearer,
}

// checkWritten checks what is written before placeholders are resolved.
func (e *Exchange) checkWritten() error {
	for _, list := range []struct {
		field, word string
		values      []string
	}{
		{"SubjectAudience", "subject_audience", e.SubjectAudience}, {"Audience", "audience", e.Audience},
		{"Scopes", "scopes", e.Scopes}, {"Claims", "claims", e.Claims},
	} {
		if err := words.NotEmpty(list.word, list.values); err != nil {
			return setting.In(list.field, err)
		}
	}
	if err := literal("Scopes", "scopes", e.Scopes...); err != nil {
		return err
	}
	return literal("SubjectPrefix", "subject_prefix", e.SubjectPrefix)
}

// checkExchangesWritten is checkWritten for the exchanges. In a file, nothing is a placeholder.
func (c *Client) checkExchangesWritten(inFile bool) error {
	for i := range c.Exchange {
		e := &c.Exchange[i]
		err := e.checkWritten()
		if err == nil && inFile {
			err = literal("From", "exchange", slices.Concat([]string{e.From}, e.SubjectAudience, e.Audience)...)
		}
		if err != nil {
			return setting.In(setting.Element("Exchange", i), fmt.Errorf("client %q: exchange from %s: %w", c.ID, e.From, err))
		}
	}
	return nil
}

// resolveExchanges resolves the placeholders of the exchanges.
func (c *Client) resolveExchanges(s *words.Settings) (all []Exchange, known bool, err error) {
	known = true
	for i := range c.Exchange {
		e := c.Exchange[i]
		from, is, err := s.Text("exchange", e.From)
		if err != nil {
			return nil, false, setting.In(setting.Element("Exchange", i)+".From", err)
		}
		e.From, known = from, known && is
		if e.SubjectAudience, is, err = s.Texts("subject_audience", e.SubjectAudience); err != nil {
			return nil, false, setting.In(setting.Element("Exchange", i)+".SubjectAudience", err)
		}
		known = known && is
		if e.Audience, is, err = s.Texts("audience", e.Audience); err != nil {
			return nil, false, setting.In(setting.Element("Exchange", i)+".Audience", err)
		}
		known = known && is
		all = append(all, e)
	}
	return all, known, nil
}

// exchanges makes the exchanges of a client, whose settings are resolved.
func (c *Client) exchanges(p *Plan) (all []clients.Exchange, err error) {
	for i := range c.Exchange {
		e, err := c.Exchange[i].exchange(p)
		if err != nil {
			return nil, setting.In(setting.Element("Exchange", i), fmt.Errorf("client %q: exchange from %s: %w", c.ID,
				c.Exchange[i].From, err))
		}
		all = append(all, *e)
	}
	return all, nil
}

func (e *Exchange) exchange(p *Plan) (*clients.Exchange, error) {
	grant, is := grantOf[e.Grant]
	own := e.From == p.issuer
	switch {
	case !is:
		return nil, setting.Errorf("Grant", "grant %q: expected token_exchange or jwt_bearer", e.Grant)
	case own && grant == clients.JWTBearer:
		return nil, setting.Errorf("Grant", "grant jwt_bearer: assertions are of others; with its own tokens it is "+
			"token_exchange")
	case p.issuer != "" && !own && !slices.Contains(p.trusted, e.From):
		return nil, setting.Errorf("From", "token_issuer does not know this issuer: write \"issuer %s { … }\" into "+
			"token_issuer, which says where its keys are", e.From)
	}
	for _, name := range e.Claims {
		if name == issuers.RolesClaim { // gates take them for groups, as the issuer has said them
			continue
		}
		if err := users.CheckClaim(name); err != nil {
			return nil, setting.In("Claims", err)
		}
	}
	if p.issuer == "" { // one without a prefix may be for the tokens of the issuer itself
		own = e.SubjectPrefix == ""
	}
	return &clients.Exchange{
		From: e.From, Own: own, Grant: grant, Accepted: e.SubjectAudience, Audiences: e.Audience, Scopes: e.Scopes,
		Claims: e.Claims, Prefix: e.SubjectPrefix,
	}, nil
}
