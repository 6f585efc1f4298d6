// Package adminroute answers requests at Caddy's admin endpoint, in one way for all modules of this project. Caddy
// itself checks who may ask: its options origins, enforce_origin and remote.
package adminroute

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Route is what answers at one path.
type Route struct {
	Path string
	// Answers has a function for each method. What it returns is written as JSON.
	Answers map[string]func(*http.Request) (answer any, err error)
	// Status is the status of an error.
	Status func(error) int
}

// Admin is the route as Caddy wants it.
func (r Route) Admin() caddy.AdminRoute {
	return caddy.AdminRoute{Pattern: r.Path, Handler: caddy.AdminHandlerFunc(r.serve)}
}

// Admin is Route.Admin of several.
func Admin(routes ...Route) (all []caddy.AdminRoute) {
	for _, r := range routes {
		all = append(all, r.Admin())
	}
	return all
}

func (r Route) serve(w http.ResponseWriter, request *http.Request) error {
	answer, known := r.Answers[request.Method]
	if !known {
		allowed := strings.Join(slices.Sorted(maps.Keys(r.Answers)), ", ")
		w.Header().Set("Allow", allowed)
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("use " + allowed)}
	}
	content, err := answer(request)
	if err != nil {
		return caddy.APIError{HTTPStatus: r.Status(err), Err: err}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(content)
}

// errBody means that a body is not the object that it must be.
var errBody = errors.New("the body is not the object that it must be")

// Read reads an object of at most most bytes, whose members are texts. No body at all is an empty object. It refuses
// members that it does not know, those that are there twice, and empty ones: they were meant to make an order narrower.
// No error quotes what may be a token.
func Read(from io.Reader, most int, into any) error {
	text, err := io.ReadAll(io.LimitReader(from, int64(most)+1))
	if err != nil {
		return err
	}
	if len(text) == 0 {
		return nil
	}
	if len(text) > most {
		return fmt.Errorf("%w: it is longer than %d bytes", errBody, most)
	}
	members, err := strictjson.ParseMembers(text, strictjson.Limits{}) // it also refuses duplicates
	if err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	for _, member := range members {
		name, _ := member.Name.Str()
		switch value, isText := member.Value.Str(); {
		case strings.ContainsFunc(name, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') }):
			// Package json takes capitals for small letters. And the name may be a token.
			return fmt.Errorf("%w: all members have names in small letters", errBody)
		case !isText || value == "":
			return fmt.Errorf("%w: %q is empty, or no text: leave it out if it does not matter", errBody, name)
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	return nil
}

// Parameters reads the query of an address. It refuses what is not known, empty, or there twice.
func Parameters(query string, known ...string) (map[string]string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("the query cannot be read: %w", err)
	}
	read := make(map[string]string, len(values))
	for name, texts := range values {
		switch {
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("the parameter %q is unknown: there are %s", name, strings.Join(known, ", "))
		case len(texts) > 1 || texts[0] == "":
			return nil, fmt.Errorf("the parameter %q is empty, or there twice", name)
		}
		read[name] = texts[0]
	}
	return read, nil
}
