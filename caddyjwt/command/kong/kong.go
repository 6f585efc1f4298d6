// Package kong converts files of decK, with which Kong 3 and InterSystems API Manager are configured, to Caddyfiles.
//
// A converted site lets no caller pass whom Kong 3.3 or later would have refused. Where Kong does not say which of two
// routes takes a request, the stricter one does, or none. What cannot be converted stays closed: the site answers 501.
package kong

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/deckfile"
)

// Options are what a conversion needs beside the file.
type Options struct {
	// Source is the name of the file, for a comment.
	Source string
	// Flavor is Kong's router_flavor: "traditional_compatible", the default, or "traditional".
	Flavor string
	// Site is the address of the site, such as ":8000" or "api.example.com".
	Site string
}

// A Result is a converted file.
type Result struct {
	// Caddyfile is the text, with its notes at the end.
	Caddyfile string
	// Notes are what was not converted, each on one line.
	Notes []string
}

type converter struct {
	file      *deckfile.File
	options   Options
	good      map[int]bool      // the places of the consumers that can be converted
	snippets  map[string]string // the snippets of consumers, by their names
	names     map[string]int    // how many entries have a name of a matcher
	ties      map[int]bool      // the places of routes that are tried before less strict ones
	tried     map[string]error  // the errors of gates that were tried
	verifies  map[string]bool   // the snippets of consumers with some credential
	strictExp bool              // some gate of Kong did not verify exp
	notes
}

// Convert converts a file. It fails if the file cannot be read, or has what would decide who may send a request and has
// no place in a Caddyfile where it could be closed.
func Convert(text []byte, o Options) (Result, error) {
	if o.Flavor = cmp.Or(o.Flavor, flavorCompatible); o.Flavor != flavorCompatible && o.Flavor != flavorTraditional {
		return Result{}, fmt.Errorf("the router flavor %q: expected %s or %s", o.Flavor, flavorCompatible, flavorTraditional)
	}
	file, err := deckfile.Read(text)
	if err != nil {
		return Result{}, err
	}
	c := &converter{file: file, options: o, good: map[int]bool{}, snippets: map[string]string{},
		names: map[string]int{}, ties: map[int]bool{}, tried: map[string]error{},
		verifies: map[string]bool{}}
	c.notes.known = map[string]bool{}
	for _, note := range file.Notes {
		c.add("%s", note)
	}
	if err := c.checkPlugins(); err != nil {
		return Result{}, err
	}
	c.knowConsumers()
	entries, err := c.entries()
	if err != nil {
		return Result{}, err
	}
	if len(file.Consumers) > 0 && len(c.snippets) == 0 {
		c.add("consumers: not converted, since no route has the plugin jwt")
	}
	out := Result{Caddyfile: c.site(entries), Notes: c.all}
	return out, adapts(out.Caddyfile)
}

// adapts is the error with which Caddy would not load the Caddyfile.
func adapts(text string) error {
	if _, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil); err != nil {
		return fmt.Errorf("the converted file does not load: %w", err)
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
