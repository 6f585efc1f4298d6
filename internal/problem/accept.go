package problem

import (
	"strconv"
	"strings"
)

// form is a way to write a problem.
type form struct {
	kind, subtype string // what a client asks for
	contentType   string // what it gets
	text          bool   // only the detail, for people
}

// forms are in our order of preference. A browser that navigates asks for HTML. It gets text, because a page of its own
// is what handle_errors is for.
var forms = [...]form{
	{"application", "problem+json", "application/problem+json", false},
	{"application", "json", "application/json", false},
	{"text", "plain", "text/plain; charset=utf-8", true},
	{"text", "html", "text/plain; charset=utf-8", true},
}

// maxAccept bounds the Accept field, in bytes. Those of browsers have about 150.
const maxAccept = 1024

// preferred is the form with the greatest weight in an Accept field (RFC 9110 section 12.5.1). Among forms of equal
// weight it is the one that the client names most exactly, and then the first of ours. If the client accepts none, or
// sends an endless field, it gets problem+json all the same: an error that it may not read is better than another error
// (RFC 9110 section 15.5.7).
func preferred(accept []string) *form {
	length := len(accept)
	for _, line := range accept {
		length += len(line)
	}
	if length > maxAccept {
		return &forms[0]
	}
	var wishes [len(forms)]wish
	for _, line := range accept {
		for line != "" {
			var element string
			element, line = cut(line, ',')
			if r, ok := parseRange(element); ok {
				for i := range forms {
					wishes[i].consider(&r, &forms[i])
				}
			}
		}
	}
	best := 0
	for i := range wishes {
		if wishes[best].less(wishes[i]) {
			best = i
		}
	}
	return &forms[best]
}

// mediaRange is an element of an Accept field. Its parameters do not count, except for the weight: none of our forms
// has several versions.
type mediaRange struct {
	kind, subtype string
	weight        float64
}

// wish is how much a client wants a form, by the most exact of the ranges that match it.
type wish struct {
	exactness int // 3: type and subtype, 2: "type/*", 1: "*/*", 0: no range matches
	weight    float64
}

// consider takes a range into account, if it matches the form. A more exact range replaces those that are less exact,
// whatever their weight. Of two that are equally exact, the one with the greater weight counts.
func (w *wish) consider(r *mediaRange, f *form) {
	exactness := 0
	switch {
	case r.kind == "*" && r.subtype == "*":
		exactness = 1
	case !strings.EqualFold(r.kind, f.kind):
	case r.subtype == "*":
		exactness = 2
	case strings.EqualFold(r.subtype, f.subtype):
		exactness = 3
	}
	if exactness > w.exactness || exactness == w.exactness && exactness > 0 && r.weight > w.weight {
		*w = wish{exactness, r.weight}
	}
}

// less reports whether the client wants the other form more. Nobody wants a form of weight 0.
func (w wish) less(other wish) bool {
	if w.weight != other.weight {
		return w.weight < other.weight
	}
	return other.weight > 0 && w.exactness < other.exactness
}

// parseRange reads a media range with its weight. It is not ok if it makes no sense.
func parseRange(text string) (r mediaRange, ok bool) {
	name, params := cut(text, ';')
	kind, subtype, ok := strings.Cut(trim(name), "/")
	if !ok || kind == "" || subtype == "" {
		return r, false
	}
	r = mediaRange{kind, subtype, 1}
	for params != "" {
		var param string
		param, params = cut(params, ';')
		if name, value, _ := strings.Cut(param, "="); strings.EqualFold(trim(name), "q") {
			r.weight, ok = parseWeight(trim(value))
			return r, ok
		}
	}
	return r, true
}

// parseWeight reads a qvalue (RFC 9110 section 12.4.2): 0 to 1, with at most three digits behind the point.
func parseWeight(text string) (float64, bool) {
	if len(text) > len("0.000") || strings.Trim(text, "0123456789.") != "" {
		return 0, false
	}
	weight, err := strconv.ParseFloat(text, 64)
	return weight, err == nil && weight <= 1
}

// cut slices a text around the first separator that is not inside of a quoted-string (RFC 9110 section 5.6.4).
func cut(text string, separator byte) (before, after string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == separator && !quoted:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

// trim removes optional white space (RFC 9110 section 5.6.3).
func trim(text string) string { return strings.Trim(text, " \t") }
