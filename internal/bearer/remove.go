package bearer

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Remove removes every copy of the token from the configured places, so that the backend does not get it, even where
// Extract did not find one. All other bytes stay as they were, in their order. The query parameter leaves r.URL, and
// r.RequestURI, which some handlers and access logs read, and Referer, in which a browser sends the URL of the previous
// page. A digest or signature that the client made over such a body or query no longer fits.
//
// Call Remove after Extract, on the same request: it leaves alone a form body that Extract has not read. It changes
// header and URL in place, also for copies of the request that share them.
func (e *Extractor) Remove(r *http.Request) {
	for i := range e.places {
		if p := &e.places[i]; p.Kind == Header {
			p.removeHeader(r.Header)
		}
	}
	e.protocols.remove(r.Header)
	e.removeRespelt(r.Header)
	if len(e.cookies) > 0 {
		removeCookies(r.Header, e.cookies)
	}
	if len(e.query) > 0 {
		e.removeQuery(r)
	}
	if len(e.form) > 0 {
		e.removeForm(r)
	}
	forgetParams(r, e.query)
	forgetParams(r, e.form)
}

// Needs reports whether the header field of this name, in any spelling, can hold a token, or is needed to find one in a
// form. Such a field must not travel on as a trailer. Extract does not see what follows a body, and some servers merge
// it into the header, although trailers cannot hold credentials (RFC 9110 section 6.5.1). Nor may a client have a proxy
// remove it (section 7.6.1).
func (e *Extractor) Needs(name string) bool {
	return slices.ContainsFunc(e.places, func(p Place) bool {
		//exhaustive:enforce
		switch p.Kind {
		case Header:
			return SameField(name, p.Name)
		case Cookie:
			return SameField(name, "Cookie")
		case Form:
			return SameField(name, "Content-Type")
		case Subprotocol:
			return SameField(name, protocolField)
		case Query:
		}
		return false
	})
}

func (e *Extractor) removeQuery(r *http.Request) {
	if query, removed := removeParams(r.URL.RawQuery, e.query); removed {
		r.URL.RawQuery = query
		r.URL.ForceQuery = false // no "?" stays behind
	}
	r.RequestURI = e.withoutQueryToken(r.RequestURI)
	for i, referer := range r.Header["Referer"] {
		r.Header["Referer"][i] = e.withoutQueryToken(referer)
	}
}

// withoutQueryToken removes the parameters from the text of a URL.
func (e *Extractor) withoutQueryToken(text string) string {
	target, query, ok := strings.Cut(text, "?")
	if !ok {
		return text
	}
	query, removed := removeParams(query, e.query)
	switch {
	case !removed:
		return text
	case query == "":
		return target
	default:
		return target + "?" + query
	}
}

func (e *Extractor) removeForm(r *http.Request) {
	body, ok := r.Body.(*formBody)
	if !ok {
		return
	}
	text, removed := removeParams(body.text, e.form)
	if !removed {
		return
	}
	r.Body = newFormBody(text, body.Closer, body.share)
	if r.ContentLength < 0 {
		return // chunked, and stays so
	}
	r.ContentLength = int64(len(text))
	if _, ok := r.Header["Content-Length"]; ok {
		r.Header["Content-Length"] = []string{strconv.Itoa(len(text))}
	}
}

// forgetParams removes the parameters from forms that the standard library has parsed for an earlier handler.
func forgetParams(r *http.Request, names []string) {
	for _, name := range names {
		delete(r.Form, name)
		delete(r.PostForm, name)
	}
}
