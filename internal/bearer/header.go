package bearer

import (
	"net/http"
	"slices"
	"strings"
)

// blank is the white space that may surround field values and cookies.
const blank = " \t"

// findHeader reads a header place. Credentials are not a list, so the field may occur only once (RFC 9110 section 5.3),
// whatever the second one says, and never as a trailer (section 6.5.1).
func (p *Place) findHeader(r *http.Request) (presented, error) {
	if _, announced := r.Trailer[p.Name]; announced {
		return presented{}, errTrailer
	}
	lines := r.Header[p.Name]
	if len(lines) == 0 {
		return presented{}, nil
	}
	if len(lines) > 1 {
		return presented{}, errTwoFields
	}
	// HTTP/1 servers trim field values; those of HTTP/2 may not.
	value := strings.Trim(lines[0], blank)
	if p.Scheme == "" {
		return presented{text: value, ok: true}, nil
	}
	token, fit := cutScheme(value, p.Scheme)
	switch fit {
	case schemeOurs:
		return presented{text: token, ok: true}, nil
	case schemeUnclear:
		return presented{}, errSeparator
	case schemeOther:
	}
	if listsScheme(value, p.Scheme) {
		return presented{}, errList
	}
	return presented{}, nil
}

// InHeader reports whether one of the header places is in use, in any spelling of its name.
func (e *Extractor) InHeader(h http.Header) bool {
	return e.respelt(h) || len(e.protocols) > 0 && len(h[protocolField]) > 0 ||
		slices.ContainsFunc(e.places, func(p Place) bool { return p.Kind == Header && len(h[p.Name]) > 0 })
}

// respelt reports whether some readers would take the name of a field for that of a header place. CGI and its
// descendants make one variable of X-Access-Token, X_Access_Token and X!Access!Token, with the value of any of them.
// When the token is passed on, a backend could read one that was never verified.
func (e *Extractor) respelt(fields http.Header) bool {
	if len(e.spelt) == 0 {
		return false
	}
	for name := range fields {
		if e.isRespelt(name) {
			return true
		}
	}
	return false
}

func (e *Extractor) isRespelt(name string) bool {
	same := func(ours string) bool { return SameField(name, ours) }
	return slices.ContainsFunc(e.spelt, same) && !slices.Contains(e.spelt, name)
}

// SameField reports whether some readers would take one name of a header field for the other. They compare in any case,
// and take all characters but letters and digits for the same.
func SameField(s, t string) bool {
	if len(s) != len(t) {
		return false
	}
	for i := range len(s) {
		if lower(s[i]) != lower(t[i]) && (isAlphanumeric(s[i]) || isAlphanumeric(t[i])) {
			return false
		}
	}
	return true
}

// removeRespelt removes the fields that Extract refuses because of their names.
func (e *Extractor) removeRespelt(h http.Header) {
	if !e.respelt(h) {
		return
	}
	for name := range h {
		if e.isRespelt(name) {
			delete(h, name)
		}
	}
}

type schemeFit uint8

const (
	schemeOther   schemeFit = iota // another scheme, even if it begins like ours
	schemeOurs                     // our scheme, then spaces, then the rest
	schemeUnclear                  // our scheme, then something that some parsers take for a space
)

// cutScheme splits credentials after the scheme. The scheme is matched in any case (RFC 9110 section 11.1), and one or
// more spaces follow it (section 11.4). A tab is not a space.
func cutScheme(value, scheme string) (rest string, fit schemeFit) {
	if len(value) < len(scheme) || !equalFold(value[:len(scheme)], scheme) {
		return "", schemeOther
	}
	rest = value[len(scheme):]
	switch {
	case rest == "":
		return "", schemeOurs
	case rest[0] == ' ':
		return strings.TrimLeft(rest, " "), schemeOurs
	case rest[0] < ' ' || rest[0] >= 0x7f:
		return "", schemeUnclear
	}
	return "", schemeOther
}

// listsScheme reports whether credentials of our scheme follow those of another, as in "Basic x, Bearer y". Some
// servers split the field at commas.
func listsScheme(value, scheme string) bool {
	for {
		_, rest, more := strings.Cut(value, ",")
		if !more {
			return false
		}
		value = strings.TrimLeft(rest, blank)
		if _, fit := cutScheme(value, scheme); fit != schemeOther {
			return true
		}
	}
}

// removeHeader removes the lines of the field that hold credentials of the place. Those of another scheme stay.
func (p *Place) removeHeader(h http.Header) {
	lines, ok := h[p.Name]
	if !ok {
		return
	}
	holds := func(line string) bool {
		line = strings.Trim(line, blank)
		if p.Scheme == "" {
			return true
		}
		_, fit := cutScheme(line, p.Scheme)
		return fit != schemeOther || listsScheme(line, p.Scheme)
	}
	if !slices.ContainsFunc(lines, holds) {
		return
	}
	if len(lines) == 1 {
		delete(h, p.Name)
		return
	}
	// Cloned: the slice may be shared with a copy of the request.
	if h[p.Name] = slices.DeleteFunc(slices.Clone(lines), holds); len(h[p.Name]) == 0 {
		delete(h, p.Name)
	}
}
