package schema

import (
	"bytes"
	"encoding/json"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage" // configurations name it

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/caddyjwt/backchannel"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/matcher"
	"github.com/caddyjwt/gateway/caddyjwt/protected"
	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer"
)

// modules are those with a configuration.
var modules = []caddy.Module{
	new(caddyjwt.App), new(caddyjwt.Handler), new(matcher.Matcher), new(protected.Handler), new(backchannel.Handler),
	new(tokenissuer.Handler),
}

// A map is written with its members in alphabetical order.
type object = map[string]any

// special are types whose JSON is not what their Go type says.
var special = map[reflect.Type]object{
	reflect.TypeFor[caddy.Duration](): {
		"type":    []string{"string", "integer"},
		"pattern": `^([+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d))+|[+-]?0)$`,
		"description": "A duration such as \"90s\", \"1h30m\" or \"7d\": numbers with the units ns, us, ms, s, m, h and d. " +
			"A number alone is in nanoseconds.",
	},
	reflect.TypeFor[require.Number](): {
		"type": "string", "minLength": 1,
		"description": "A number as a text, such as \"18\": Caddy rounds the numbers of a configuration.",
	},
	reflect.TypeFor[json.RawMessage](): {"description": "Any JSON. Caddy rounds the numbers of a configuration."},
	reflect.TypeFor[issuers.KeySources](): {
		"anyOf": []object{
			{"$ref": "#/$defs/issuers.Keys"},
			{"type": "array", "items": object{"$ref": "#/$defs/issuers.Keys"}},
		},
	},
}

type generator struct {
	testing.TB
	comments comments
	choices  map[place][]string
	defs     object
}

// generate makes the whole schema.
func generate(tb testing.TB, choices map[place][]string) []byte {
	tb.Helper()
	g := &generator{
		TB: tb, comments: comments{make(map[string]bool), make(map[string]string)}, choices: choices, defs: make(object),
	}
	g.schema(reflect.TypeFor[issuers.Keys]())
	apps, handlers, matchers := make(object), make(object), make(object)
	for _, module := range modules {
		reference := g.schema(reflect.TypeOf(module))
		id := module.CaddyModule().ID
		switch id.Namespace() {
		case "":
			apps[id.Name()] = reference
		case "http.handlers":
			handlers[id.Name()] = reference
			g.defs[definition(reflect.TypeOf(module).Elem())].(object)["properties"].(object)["handler"] = object{
				"const": id.Name(), "description": "The name of the Caddy module.",
			}
		case "http.matchers":
			matchers[id.Name()] = reference
		default:
			tb.Errorf("no rule for the module %s", id)
		}
	}
	g.search(handlers, matchers)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "\t")
	if err := encoder.Encode(object{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "Caddy configuration with bearer_auth",
		"type":    "object",
		"properties": object{"apps": object{
			"type": "object", "properties": apps, "additionalProperties": object{"$ref": "#/$defs/anything"},
		}},
		"additionalProperties": object{"$ref": "#/$defs/anything"},
		"$defs":                g.defs,
	}); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// search adds the rules by which our modules are found. Handlers can be anywhere, also in those of other plugins: an
// object with "handler" is one. Matchers are members of the sets of "match", and of those below "not".
func (g *generator) search(handlers, matchers object) {
	names := slices.Sorted(maps.Keys(handlers))
	var rules []object
	for _, name := range names {
		isIt := object{"properties": object{"handler": object{"const": name}}}
		rules = append(rules, object{"if": isIt, "then": handlers[name]})
	}
	ours := object{
		"type": "object", "required": []string{"handler"}, "properties": object{"handler": object{"enum": names}},
	}
	sets := object{"type": "array", "items": object{"$ref": "#/$defs/matchers"}}
	matchers["not"] = sets
	g.defs["matchers"] = object{"type": "object", "properties": matchers}
	g.defs["anything"] = object{
		"if":   ours,
		"then": object{"allOf": rules},
		"else": object{
			"properties":           object{"match": object{"if": object{"type": "array"}, "then": sets}},
			"additionalProperties": object{"$ref": "#/$defs/anything"},
			"items":                object{"$ref": "#/$defs/anything"},
		},
	}
}

// definition is the name of a type below $defs.
func definition(t reflect.Type) string { return path.Base(t.PkgPath()) + "." + t.Name() }

// schema is that of a type, which for structs and special types is a reference.
func (g *generator) schema(t reflect.Type) object {
	if text, ok := special[t]; ok {
		g.defs[definition(t)] = text
		return object{"$ref": "#/$defs/" + definition(t)}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.schema(t.Elem())
	case reflect.Struct:
		if g.defs[definition(t)] == nil {
			g.defs[definition(t)] = object{} // it may have itself inside
			g.defs[definition(t)] = g.structure(t)
		}
		return object{"$ref": "#/$defs/" + definition(t)}
	case reflect.Slice:
		return object{"type": "array", "items": g.schema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.schema(t.Elem())}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	}
	g.Fatalf("no rule for the type %s", t)
	return nil
}

func (g *generator) structure(t reflect.Type) object {
	properties, required := make(object), []string{}
	for _, field := range reflect.VisibleFields(t) {
		if !field.IsExported() || field.Anonymous {
			continue
		}
		name, options, ok := strings.Cut(field.Tag.Get("json"), ",")
		if !ok {
			required = append(required, name)
		} else if options != "omitempty" {
			g.Errorf("%s.%s: no rule for the option %q", t, field.Name, options)
		}
		if name == "" || name == "-" {
			g.Errorf("%s.%s has no name in JSON", t, field.Name)
		}
		owner := t // which has the comment
		for _, step := range field.Index[:len(field.Index)-1] {
			owner = owner.Field(step).Type
		}
		property := g.schema(field.Type)
		property["description"] = g.comments.of(g, owner, field.Name)
		if values := g.choices[place{owner, field.Name}]; values != nil {
			property["enum"] = values
		}
		if values := g.choices[place{owner, field.Name + "[]"}]; values != nil {
			property["items"].(object)["enum"] = values
		}
		properties[name] = property
	}
	structure := object{
		"type": "object", "properties": properties, "additionalProperties": false,
		// Caddy removes these before anybody reads them.
		"patternProperties": object{"^@id$": object{"type": []string{"string", "number"}}},
		"description":       g.comments.of(g, t, ""),
	}
	if len(required) > 0 {
		structure["required"] = required
	}
	return structure
}
