package claims

import (
	"bytes"
	"encoding/json"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// TextOf is the text of a value that Any returned, in the form of Text; empty when
// Text has none. Any keeps neither the order of members nor the spelling of
// numbers: members come sorted by name, and numbers in their shortest form.
func TextOf(value any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // a backend is no browser
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
