package claims

import (
	"bytes"
	"encoding/json"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// TextOf is the text of what Any gave, in the form of Text, and empty where that
// is none. Any keeps no order of members and no spelling of numbers: members come
// in the order of their names, and numbers as short as can be.
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
