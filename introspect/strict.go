package introspect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// readObject splits one JSON object into its members, by their exact names. It is stricter
// than encoding/json, which takes the last of two members with one name, matches names
// in any case and mends bad UTF-8: two readers of one answer must not see two verdicts.
func readObject(text []byte) (map[string][]byte, error) {
	// Valid refuses bad grammar and trailing data before anything is built from the text.
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, fmt.Errorf("%w: not JSON", ErrAnswer)
	}
	s := &scanner{text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	s.dec.UseNumber() // numbers stay text: a long one costs nothing
	return s.object()
}

type scanner struct {
	text []byte
	dec  *json.Decoder
}

// object reads the outermost object.
func (s *scanner) object() (map[string][]byte, error) {
	if first, err := s.dec.Token(); err != nil || first != json.Delim('{') {
		return nil, fmt.Errorf("%w: not a JSON object", ErrAnswer)
	}
	members := make(map[string][]byte)
	err := s.members(1, func(name string) error {
		if _, twice := members[name]; twice {
			return errTwice
		}
		start := s.dec.InputOffset()
		if err := s.value(1); err != nil {
			return err
		}
		members[name] = bytes.TrimLeft(s.text[start:s.dec.InputOffset()], ": \t\r\n")
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return members, nil
}

var (
	errTwice = errors.New("an object has two members of one name")
	errDeep  = errors.New("nested too deeply")
)

// members calls each with the name of every member of the object just opened, to read its value.
func (s *scanner) members(depth int, each func(name string) error) error {
	if depth > MaxDepth {
		return errDeep
	}
	for s.dec.More() {
		token, err := s.dec.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return io.ErrUnexpectedEOF // not after json.Valid
		}
		if err := each(name); err != nil {
			return err
		}
	}
	_, err := s.dec.Token() // the closing brace
	return err
}

// value reads over one value inside of depth others.
func (s *scanner) value(depth int) error {
	token, err := s.dec.Token()
	switch {
	case err != nil:
		return err
	case token == json.Delim('{'):
		seen := make(map[string]bool)
		return s.members(depth+1, func(name string) error {
			if seen[name] {
				return errTwice
			}
			seen[name] = true
			return s.value(depth + 1)
		})
	case token == json.Delim('['):
		return s.elements(depth + 1)
	}
	return nil
}

func (s *scanner) elements(depth int) error {
	if depth > MaxDepth {
		return errDeep
	}
	for s.dec.More() {
		if err := s.value(depth); err != nil {
			return err
		}
	}
	_, err := s.dec.Token() // the closing bracket
	return err
}
