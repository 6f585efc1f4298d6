package words

import (
	"reflect"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/internal/setting"
)

// Lines knows on which line of a Caddyfile each field of a struct was given.
type Lines struct {
	directive caddyfile.Token
	words     map[string]*caddyfile.Token // by the path of the field
}

func newLines(directive caddyfile.Token) *Lines {
	return &Lines{directive: directive, words: make(map[string]*caddyfile.Token)}
}

// remember keeps the first word for a field.
func (l *Lines) remember(path string, word *caddyfile.Token) {
	if _, known := l.words[path]; !known {
		l.words[path] = word
	}
}

// Wrap adds a line to an error: that of the word for its field (see [setting.Field]). For a field that was not given,
// it is the line of the block around it, or else of the directive.
func (l *Lines) Wrap(err error) error {
	if err == nil {
		return nil
	}
	d := caddyfile.NewDispenser([]caddyfile.Token{l.find(setting.Field(err))})
	d.Next()
	return d.WrapErr(err)
}

func (l *Lines) find(path string) caddyfile.Token {
	for path != "" {
		if word, known := l.words[path]; known {
			return *word
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return l.directive
}

// join appends a field to the path of its struct.
func join(path, field string) string {
	if path == "" || field == "" || strings.HasPrefix(field, "[") {
		return path + field
	}
	return path + "." + field
}

// jsonName is the name of a field in JSON.
func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}
