package caddyjwt

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/setting"
)

// tokenPlace is one kind of place that may hold a token.
type tokenPlace struct {
	name   string // as TokenPlace.In
	kind   bearer.Kind
	scheme bool   // a scheme may stand before the token
	usual  string // the name by default; empty if there must be one
}

var tokenPlaces = []tokenPlace{
	{name: "header", kind: bearer.Header, scheme: true},
	{name: "query", kind: bearer.Query},
	{name: "cookie", kind: bearer.Cookie},
	{name: "form", kind: bearer.Form},
	{name: "websocket_protocol", kind: bearer.Subprotocol, usual: bearer.DefaultMarker},
}

// placeOf is the row with this name, or nil.
func placeOf(name string) *tokenPlace {
	i := slices.IndexFunc(tokenPlaces, func(p tokenPlace) bool { return p.name == name })
	if i < 0 {
		return nil
	}
	return &tokenPlaces[i]
}

func placeNames() []string {
	names := make([]string, len(tokenPlaces))
	for i, place := range tokenPlaces {
		names[i] = place.name
	}
	return names
}

// placeUsage is the usage of token_from: one form for places with a scheme, one for those without, and one for those
// that need no name.
func placeUsage() []string {
	forms := []string{" <name> [<scheme>]", " <name>", " [<marker>]"}
	names := make([][]string, len(forms))
	for _, place := range tokenPlaces {
		form := 1
		if place.scheme {
			form = 0
		} else if place.usual != "" {
			form = 2
		}
		names[form] = append(names[form], place.name)
	}
	for i := range forms {
		forms[i] = strings.Join(names[i], "|") + forms[i]
	}
	return forms
}

const maxTokenSize = 1 << 20

func (h *Handler) extractor(withDPoP bool) (*bearer.Extractor, error) {
	if h.MaxTokenSize < 0 || h.MaxTokenSize > maxTokenSize {
		return nil, setting.Errorf("MaxTokenSize", "max_token_size %d is not between 1 and %d", h.MaxTokenSize, maxTokenSize)
	}
	if err := words.NotEmpty("token_from", h.TokenFrom); err != nil {
		return nil, setting.In("TokenFrom", err)
	}
	options := bearer.Options{MaxToken: h.MaxTokenSize, DPoP: withDPoP}
	for i, p := range h.TokenFrom {
		place, err := p.compile()
		if err != nil {
			return nil, setting.In(setting.Element("TokenFrom", i), err)
		}
		options.Places = append(options.Places, place)
	}
	extractor, err := bearer.NewExtractor(options)
	if err != nil {
		return nil, setting.In(setting.Element("TokenFrom", firstMistaken(options)), setting.Wrap("token_from", err))
	}
	return extractor, nil
}

// firstMistaken is the index of the first place that cannot be taken with those before it. If a place is given twice,
// the second is the mistake.
func firstMistaken(options bearer.Options) int {
	places := options.Places
	return sort.Search(len(places)-1, func(i int) bool {
		options.Places = places[:i+1]
		_, err := bearer.NewExtractor(options)
		return err != nil
	})
}

func (p TokenPlace) compile() (bearer.Place, error) {
	place := bearer.Place{Name: p.Name, Scheme: p.Scheme}
	known := placeOf(p.In)
	if known == nil {
		return place, fmt.Errorf("token_from %q: expected %s", p.In, words.Alternatives(placeNames()))
	}
	place.Kind, place.Name = known.kind, cmp.Or(p.Name, known.usual)
	if err := errors.Join(words.Literal("token_from", p.Name), words.Literal("token_from", p.Scheme)); err != nil {
		return place, err
	}
	switch {
	case p.Scheme != "" && !known.scheme:
		return place, fmt.Errorf("token_from %s %s: only a header has a scheme", p.In, p.Name)
	case p.Scheme == "" && known.scheme && strings.EqualFold(p.Name, "Authorization"):
		place.Scheme = bearer.DefaultPlace.Scheme
	}
	return place, nil
}
