package reach

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// truth is how sure something is. The order matters: max is "or", min is "and".
type truth int

const (
	no truth = iota
	perhaps
	yes
)

func (t truth) and(other truth) truth { return min(t, other) }
func (t truth) not() truth            { return yes - t }

// made is the request of a walk, with what Caddy's matchers need in its context.
func made(method, host, path string) *http.Request {
	r := &http.Request{
		Method: cmp.Or(method, http.MethodGet), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: host,
		URL: &url.URL{Path: path}, RequestURI: path, Header: make(http.Header), Body: http.NoBody,
	}
	ctx := context.WithValue(context.Background(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	return r.WithContext(context.WithValue(ctx, caddyhttp.VarsCtxKey, make(map[string]any)))
}

// anySet says whether one of the sets matches. No set at all matches everything.
func (w *walker) anySet(sets caddyhttp.MatcherSets) truth {
	if len(sets) == 0 {
		return yes
	}
	result := no
	for _, set := range sets {
		result = max(result, w.set(set))
	}
	return result
}

// set says whether all matchers of a set match.
func (w *walker) set(set caddyhttp.MatcherSet) truth {
	result := yes
	for _, matcher := range set {
		result = result.and(w.matcher(matcher))
	}
	return result
}

// matcher judges by host, path, method, and what follows from them. Everything else may match.
func (w *walker) matcher(matcher any) truth {
	switch m := matcher.(type) {
	case *caddyhttp.MatchHost:
		return w.host(*m)
	case caddyhttp.MatchHost:
		return w.host(m)
	case *caddyhttp.MatchPath:
		return w.path(*m)
	case caddyhttp.MatchPath:
		return w.path(m)
	case *caddyhttp.MatchPathRE:
		return w.pathRegexp(m)
	case *caddyhttp.MatchMethod:
		return w.method(*m)
	case caddyhttp.MatchMethod:
		return w.method(m)
	case *caddyhttp.MatchNot:
		return w.anySetOrNone(m.MatcherSets).not()
	case caddyhttp.MatchNot:
		return w.anySetOrNone(m.MatcherSets).not()
	default:
		return perhaps
	}
}

// anySetOrNone is anySet for "not": it refuses requests that match a set, so no set refuses nothing.
func (w *walker) anySetOrNone(sets caddyhttp.MatcherSets) truth {
	if len(sets) == 0 {
		return no
	}
	return w.anySet(sets)
}

func (w *walker) host(m caddyhttp.MatchHost) truth {
	if w.AnyHost || w.rewritten || slices.ContainsFunc(m, hasPlaceholder) {
		return perhaps
	}
	return w.asked(m)
}

func (w *walker) path(m caddyhttp.MatchPath) truth {
	if w.rewritten || slices.ContainsFunc(m, hasPlaceholder) {
		return perhaps
	}
	return w.asked(m)
}

func (w *walker) pathRegexp(m *caddyhttp.MatchPathRE) truth {
	if w.rewritten {
		return perhaps
	}
	return w.asked(m)
}

func (w *walker) method(m caddyhttp.MatchMethod) truth {
	if w.rewritten || slices.ContainsFunc(m, hasPlaceholder) {
		return perhaps
	}
	return w.asked(m)
}

// hasPlaceholder reports whether a text has a placeholder. Its value depends on the request.
func hasPlaceholder(text string) bool { return strings.Contains(text, "{") }

// asked asks the matcher itself. It looks at nothing that the made-up request does not have.
func (w *walker) asked(m caddyhttp.RequestMatcherWithError) truth {
	matches, err := m.MatchWithError(w.request)
	switch {
	case err != nil:
		return perhaps
	case matches:
		return yes
	default:
		return no
	}
}
