package roster

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// splitJSON finds the consumers of a list in JSON (RFC 8259), and checks what is between them. decodeJSON checks each
// of them.
func splitJSON(data []byte) ([]piece, error) {
	s := splitter{data: data, line: 1}
	if err := s.list(); err != nil {
		return nil, &Error{Line: s.line, Err: err}
	}
	return s.pieces, nil
}

// splitter is one pass over a list.
type splitter struct {
	data   []byte
	pos    int
	line   int // of pos
	pieces []piece
}

func (s *splitter) list() error {
	s.space()
	s.pos++ // the bracket, which formatOf has seen
	if s.space() == ']' {
		s.pos++
		return s.end()
	}
	for {
		if s.space() != '{' {
			return errors.New("expected a consumer, which is an object: {\"username\": …}")
		}
		if len(s.pieces) == maxConsumers {
			return fmt.Errorf("more than %d consumers", maxConsumers)
		}
		if err := s.object(); err != nil {
			return err
		}
		switch s.space() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return s.end()
		case 0:
			return errors.New("the list does not end: the file was cut off, or a ] is missing")
		default:
			return errors.New("expected a comma and another consumer, or the ] that ends the list")
		}
	}
}

// space skips white space and returns the byte behind it, or 0 at the end.
func (s *splitter) space() byte {
	for ; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; c {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		default:
			return c
		}
	}
	return 0
}

func (s *splitter) end() error {
	if s.space() != 0 || s.pos < len(s.data) {
		return errors.New("there is something behind the ] that ends the list")
	}
	return nil
}

// object steps over an object and keeps its text. It looks only for the brace that ends it.
func (s *splitter) object() error {
	start, line, depth := s.pos, s.line, 0
	for ; s.pos < len(s.data) && s.pos-start <= maxPiece; s.pos++ {
		switch s.data[s.pos] {
		case '\n':
			s.line++
		case '"':
			s.text()
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.pos++
				s.pieces = append(s.pieces, piece{s.data[start:s.pos:s.pos], line})
				return nil
			}
		}
	}
	end := s.line
	s.line = line // where the object begins: nobody knows where it should end
	if s.pos < len(s.data) {
		return fmt.Errorf("a consumer takes more than %d bytes", maxPiece)
	}
	return fmt.Errorf("the consumer that begins here does not end before line %d, which is the last: "+
		"the file was cut off, or a brace or a quote is missing", end)
}

// text steps from the quote that begins a text to the one that ends it.
func (s *splitter) text() {
	for s.pos++; s.pos < len(s.data); s.pos++ {
		switch s.data[s.pos] {
		case '\n':
			s.line++ // not allowed, as decodeJSON will say
		case '\\':
			s.pos++
		case '"':
			return
		}
	}
}

var jsonLimits = strictjson.Limits{Depth: 8, Members: 1 << 14}

func decodeJSON(neighbours []piece) func(i int) (record, error) {
	return func(i int) (record, error) { return decodeObject(neighbours[i].text) }
}

func decodeObject(text []byte) (record, error) {
	object, err := strictjson.ParseObject(text, jsonLimits)
	if err != nil {
		return record{}, jsonMistake(err)
	}
	return decode(jsonValue{object})
}

// jsonValue is a value for the decoder.
type jsonValue struct{ strictjson.Value }

func (v jsonValue) text() (string, error) {
	if text, ok := v.Str(); ok {
		return text, nil
	}
	return "", v.isNot("a text in quotes")
}

func (v jsonValue) flag() (bool, error) {
	if flag, ok := v.Bool(); ok {
		return flag, nil
	}
	return false, v.isNot("true or false")
}

func (v jsonValue) list(each func(i int, v value) error) error {
	if v.Kind() != strictjson.Array {
		return v.isNot("a list")
	}
	i := 0
	for element := range v.Elements() {
		if err := each(i, jsonValue{element}); err != nil {
			return err
		}
		i++
	}
	return nil
}

func (v jsonValue) object(each func(name string, v value) error) error {
	if v.Kind() != strictjson.Object {
		return v.isNot("an object")
	}
	for name, member := range v.Members() {
		text, _ := name.Str()
		if err := each(text, jsonValue{member}); err != nil {
			return err
		}
	}
	return nil
}

func (v jsonValue) isNot(what string) error {
	kind := v.Kind().String()
	switch v.Kind() {
	case strictjson.Null:
	case strictjson.Array, strictjson.Object:
		kind = "an " + kind
	default:
		kind = "a " + kind
	}
	return predicate("is " + kind + ", and has to be " + what)
}

// jsonMistake says what is wrong with JSON.
func jsonMistake(err error) error {
	m := &misread{text: "this is not JSON"}
	if at, ok := errors.AsType[*strictjson.OffsetError](err); ok {
		m.at = at.Offset
	}
	switch {
	case errors.Is(err, strictjson.ErrDuplicate):
		m.text = "two members have the same name"
	case errors.Is(err, strictjson.ErrDepth), errors.Is(err, strictjson.ErrMembers):
		m.text = "too many members, or nested too deeply"
	case errors.Is(err, strictjson.ErrUTF8):
		m.text = "a text has half a surrogate pair"
	}
	return m
}

// locateJSON finds the line of a mistake: of a member, unless the text is not JSON at all.
func locateJSON(text []byte, mistake error) int {
	if m, ok := errors.AsType[*misread](mistake); ok {
		return bytes.Count(text[:min(m.at, len(text))], newline)
	}
	value, err := strictjson.Parse(text, jsonLimits)
	if err != nil {
		return 0
	}
	whole := string(text)
	from := strings.Index(whole, value.Text())
	line := from
	for _, step := range steps(setting.Field(mistake)) {
		inner, name, offset, ok := member(value, step)
		if !ok {
			break
		}
		value, line, from = inner, from+name, from+offset
	}
	return strings.Count(whole[:line], "\n")
}

// member finds a member of an object or an element of a list. The offsets are in the text of the value; those of an
// element are the same.
func member(in strictjson.Value, step string) (found strictjson.Value, name, offset int, ok bool) {
	at := 1
	next := func(v strictjson.Value) int { // texts come in the order of the file, with only punctuation between them
		start := at + strings.Index(in.Text()[at:], v.Text())
		at = start + len(v.Text())
		return start
	}
	i := 0
	for element := range in.Elements() {
		if start := next(element); strconv.Itoa(i) == step {
			return element, start, start, true
		}
		i++
	}
	for name, value := range in.Members() {
		before := next(name)
		if start := next(value); name.Equal(step) {
			return value, before, start, true
		}
	}
	return found, 0, 0, false
}
