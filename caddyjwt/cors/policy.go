package cors

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	rs "github.com/rs/cors"

	"github.com/caddyjwt/gateway/caddyjwt/onheader"
	"github.com/caddyjwt/gateway/internal/causes"
)

// rules are the settings of a policy, checked.
type rules struct {
	origins, methods, headers, exposed []string
	credentials                        bool
	maxAge                             time.Duration // 0: browsers decide
}

// Policy answers preflights, and sets the fields of CORS. It is immutable and safe for concurrent use.
type Policy struct {
	rules
	library  *rs.Cors
	listed   map[string]bool // nil for every origin
	noOrigin func(http.Header)
}

func (r rules) policy() *Policy {
	p := &Policy{rules: r}
	options := rs.Options{
		AllowedMethods: r.methods, AllowedHeaders: r.headers, ExposedHeaders: r.exposed, AllowCredentials: r.credentials,
		MaxAge: int(r.maxAge / time.Second),
	}
	if slices.Contains(r.origins, everyOrigin) {
		options.AllowedOrigins = []string{everyOrigin}
	} else {
		// The library's own list matches in any case and has wildcards.
		p.listed = make(map[string]bool, len(r.origins))
		for _, origin := range r.origins {
			p.listed[origin] = true
		}
		options.AllowOriginFunc = func(origin string) bool { return p.listed[origin] }
	}
	p.library = rs.New(options)
	p.noOrigin = func(h http.Header) { p.set(h, nil) }
	return p
}

// Origins are the origins that may send requests, or "*" alone.
func (p *Policy) Origins() []string { return p.origins }

// Trusted are the origins whose pages may act with the cookies of whoever looks at them: credentials are for that.
func (p *Policy) Trusted() []string {
	if !p.credentials {
		return nil
	}
	return p.origins
}

// Answer answers a genuine preflight: 204 if it is allowed, and otherwise 403 without the fields of CORS. It returns
// why a preflight is denied, for operators, or "". The page learns nothing of it.
func (p *Policy) Answer(w http.ResponseWriter, r *http.Request) (denied string) {
	denied = p.denies(r)
	fields, status := http.Header(nil), http.StatusForbidden
	if denied == "" {
		fields, status = p.ask(r, preflightFields), http.StatusNoContent
	}
	h := w.Header()
	p.set(h, fields)
	addVary(h, "Access-Control-Request-Method", "Access-Control-Request-Headers")
	w.WriteHeader(status)
	return denied
}

// denies says why a preflight is denied. The library's answer is what counts.
func (p *Policy) denies(r *http.Request) string {
	if allowed(p.ask(r, preflightFields)) {
		return ""
	}
	origin, method := r.Header["Origin"][0], r.Header["Access-Control-Request-Method"][0]
	switch {
	case p.listed != nil && !p.listed[origin]:
		return fmt.Sprintf("the origin %s is not one of origins", causes.Quote(origin))
	case method != http.MethodOptions && !slices.Contains(p.methods, method):
		return fmt.Sprintf("the method %s is not one of methods", causes.Quote(method))
	default:
		return fmt.Sprintf("of the headers %s, not all are among headers",
			causes.Quote(strings.Join(r.Header["Access-Control-Request-Headers"], ",")))
	}
}

// Wrap makes a writer for the answer to a request that is not a preflight. It sets the fields of CORS at the last
// moment, and removes those of the handlers behind: there must be one decision, and the gate's is the one that the
// configuration shows. Call Finish of the writer when these handlers have returned.
func (p *Policy) Wrap(w http.ResponseWriter, r *http.Request) *onheader.Writer {
	// Browsers send one Origin. The library looks at the first, and echoes all.
	if len(r.Header["Origin"]) != 1 {
		return onheader.Wrap(w, p.noOrigin)
	}
	fields := p.ask(r, requestFields)
	return onheader.Wrap(w, func(h http.Header) { p.set(h, fields) })
}

// The fields of a request that the library gets to see. Those about preflights are missing in an ordinary OPTIONS
// request, which the library would take for a preflight.
var (
	requestFields   = []string{"Origin"}
	preflightFields = []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"}
)

// ask has the library decide about a request. It returns the fields of the answer.
func (p *Policy) ask(r *http.Request, fields []string) http.Header {
	visible := make(http.Header, len(fields))
	for _, name := range fields {
		if values, ok := r.Header[name]; ok {
			visible[name] = values
		}
	}
	answer := collector{make(http.Header)}
	p.library.HandlerFunc(answer, &http.Request{Method: r.Method, Header: visible})
	return answer.header
}

// collector is a ResponseWriter that keeps the header.
type collector struct{ header http.Header }

func (c collector) Header() http.Header       { return c.header }
func (collector) Write(p []byte) (int, error) { return len(p), nil }
func (collector) WriteHeader(int)             {}

// allowed reports whether the library has allowed the request.
func allowed(fields http.Header) bool { return len(fields["Access-Control-Allow-Origin"]) > 0 }

// set replaces all fields of CORS in an answer. The library shares its values between requests, and handlers may change
// values in place, as Caddy's header directive does. So they are copied.
//
// Every answer varies by Origin, also one to a request without it: a cache that kept such an answer would give it to a
// page, which then could not read it (Fetch standard, "CORS protocol and HTTP caches").
func (p *Policy) set(h, fields http.Header) {
	exposed := h["Access-Control-Expose-Headers"]
	for name := range h {
		if len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			delete(h, name)
		}
	}
	addVary(h, "Origin")
	if !allowed(fields) {
		return
	}
	for name, values := range fields {
		if name != "Vary" { // it may have a name that is there already
			h[name] = slices.Clone(values)
		}
	}
	if ours := fields["Access-Control-Expose-Headers"]; len(exposed) > 0 && len(ours) > 0 {
		h["Access-Control-Expose-Headers"] = []string{strings.Join(union(namesIn(ours), namesIn(exposed)), ", ")}
	}
}

const prefix = "Access-Control-"

// namesIn are the names in a list.
func namesIn(fields []string) (names []string) {
	for _, field := range fields {
		for name := range strings.SplitSeq(field, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// addVary adds names to Vary that are not there.
func addVary(h http.Header, names ...string) {
	present := namesIn(h["Vary"])
	if contains(present, "*") {
		return
	}
	h["Vary"] = slices.Clone(h["Vary"])
	for _, name := range names {
		if !contains(present, name) {
			h["Vary"] = append(h["Vary"], name)
		}
	}
}
