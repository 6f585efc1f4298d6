package caddyjwt

import (
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
	scheme bool // a scheme may stand before the token
}

var tokenPlaces = []tokenPlace{
	{name: "header", kind: bearer.Header, scheme: true},
	{name: "query", kind: bearer.Query},
	{name: "cookie", kind: bearer.Cookie},
	{name: "form", kind: bearer.Form},
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

// placeUsage is the usage of token_from: one form for places with a scheme, one for those without.
func placeUsage() []string {
	var with, without []string
	for _, place := range tokenPlaces {
		if place.scheme {
			with = append(with, place.name)
		} else {
			without = append(without, place.name)
		}
	}
	return []string{strings.Join(with, "|") + " <name> [<scheme>]", strings.Join(without, "|") + " <name>"}
}

const maxTokenSize = 1 << 20

func (h *Handler) extractor() (*bearer.Extractor, error) {
	if h.MaxTokenSize < 0 || h.MaxTokenSize > maxTokenSize {
		return nil, setting.Errorf("MaxTokenSize", "max_token_size %d is not between 1 and %d", h.MaxTokenSize, maxTokenSize)
	}
	if err := words.NotEmpty("token_from", h.TokenFrom); err != nil {
		return nil, setting.In("TokenFrom", err)
	}
	options := bearer.Options{MaxToken: h.MaxTokenSize}
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
	place.Kind = known.kind
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
