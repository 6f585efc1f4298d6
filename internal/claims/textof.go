package claims

import (
	"bytes"
	"encoding/json"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// TextOf returns the text, in the form of Text, of a value that Any returned. It is empty if Text has none. Any keeps
// neither the order of members nor the spelling of numbers, so members are sorted by name, and numbers have their
// shortest form.
func TextOf(value any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // a backend is not a browser
	if err := encoder.Encode(value); err != nil {
		return ""
	}
	parsed, err := strictjson.Parse(text.Bytes(), strictjson.Limits{})
	if err != nil {
		return ""
	}
	s, _ := Value{parsed}.Text()
	return s
}
