package roster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/caddyjwt/gateway/internal/setting"
)

// splitYAML finds the consumers of a list in YAML, which begin with a dash at the same indentation. So the reader of
// YAML sees a few consumers at a time: its memory is bounded, and all processors can work. Nothing that belongs to a
// consumer can begin where its dash does, so no other text can look like the beginning of the next.
func splitYAML(data []byte) ([]piece, error) {
	if line := forbiddenBreak(data); line > 0 {
		return nil, &Error{Line: line, Err: errors.New("a character here ends a line for some readers of YAML and not for " +
			"others: end lines with LF or CRLF")}
	}
	s := yamlSplitter{indent: -1}
	for number := 1; len(data) > 0; number++ {
		line, rest, _ := bytes.Cut(data, newline)
		if err := s.line(data[:len(data)-len(rest)], bytes.TrimRight(line, "\r"), number); err != nil {
			return nil, &Error{Line: number, Err: err}
		}
		data = rest
	}
	if len(s.pieces) == 0 {
		return nil, &Error{Line: 1, Err: errors.New("there is no consumer, only comments: the file was cut off, or is not " +
			"written yet; for no consumers at all, write []")}
	}
	return s.pieces, nil
}

// forbiddenBreak is the line of the first break that YAML 1.1 has and 1.2 does not, or of a CR without LF; 0 for none.
func forbiddenBreak(data []byte) int {
	for _, b := range []string{"\u0085", "\u2028", "\u2029"} {
		if i := bytes.Index(data, []byte(b)); i >= 0 {
			return 1 + bytes.Count(data[:i], newline)
		}
	}
	for from := 0; ; {
		i := bytes.IndexByte(data[from:], '\r')
		if i < 0 {
			return 0
		}
		if from += i + 1; from < len(data) && data[from] != '\n' {
			return 1 + bytes.Count(data[:from], newline)
		}
	}
}

type yamlSplitter struct {
	indent int // of the dashes; -1 before the first
	begun  bool
	pieces []piece
}

// line takes a line, whole is with what ends it.
func (s *yamlSplitter) line(whole, line []byte, number int) error {
	text := bytes.TrimLeft(line, " ")
	indent := len(line) - len(text)
	switch {
	case len(text) == 0 || text[0] == '#' && s.indent < 0:
	case s.indent < 0 && !s.begun && isMarker(line, "---"):
		s.begun = true // of the only document
		return nil
	case s.indent < 0 && !isDash(text):
		return errors.New("expected a list of consumers: \"- username: …\" for each; " +
			"write only the list that \"consumers\" has in a configuration")
	case s.indent < 0 || indent == s.indent && isDash(text):
		if len(s.pieces) == maxConsumers {
			return fmt.Errorf("more than %d consumers", maxConsumers)
		}
		s.indent = indent
		s.pieces = append(s.pieces, piece{whole[:len(whole):cap(whole)], number})
		return nil
	case indent <= s.indent && text[0] != '#':
		return errors.New("this belongs to no consumer: indent it deeper than the dash of its consumer, or begin the next " +
			"one with a dash")
	}
	if len(s.pieces) == 0 {
		return nil
	}
	last := &s.pieces[len(s.pieces)-1]
	last.text = last.text[:len(last.text)+len(whole)]
	if len(last.text) > maxPiece {
		return fmt.Errorf("the consumer that begins on line %d takes more than %d bytes", last.line, maxPiece)
	}
	return nil
}

// isDash reports whether a text begins an element of a list.
func isDash(text []byte) bool {
	return text[0] == '-' && (len(text) == 1 || text[1] == ' ')
}

// isMarker reports whether a line has only a marker, and perhaps a comment.
func isMarker(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	trimmed := bytes.TrimLeft(rest, " ")
	return ok && (len(trimmed) == 0 || trimmed[0] == '#' && len(trimmed) < len(rest))
}

// decodeYAML reads all neighbours at once, which takes less time than one after the other. If something is wrong, it
// reads each alone.
func decodeYAML(neighbours []piece) func(i int) (record, error) {
	nodes := parseNeighbours(neighbours)
	return func(i int) (record, error) {
		if nodes != nil {
			return decode(yamlValue{nodes[i]})
		}
		consumer, err := parseYAML(neighbours[i].text)
		if err != nil {
			return record{}, err
		}
		return decode(yamlValue{consumer})
	}
}

// maxAtOnce bounds the text that the reader of YAML gets at once, in bytes: it makes several times as much of it.
const maxAtOnce = 128 << 10

// parseNeighbours reads consumers that follow each other in the file. It returns nil unless each is surely what it is
// alone: an element of its own, which begins where the splitter has seen its dash.
func parseNeighbours(all []piece) (nodes []*yaml.Node) {
	defer func() {
		if recover() != nil {
			nodes = nil
		}
	}()
	first, size := all[0], 0
	for _, p := range all {
		size += len(p.text)
	}
	if len(all) == 1 || size > maxAtOnce {
		return nil
	}
	list, err := parseList(first.text[:size])
	if err != nil || len(list) != len(all) {
		return nil
	}
	for i, node := range list {
		line := first.line + node.Line - 1
		if line < all[i].line || i+1 < len(all) && line >= all[i+1].line {
			return nil
		}
	}
	return list
}

// parseYAML reads a list of one element, and returns the element.
func parseYAML(text []byte) (*yaml.Node, error) {
	list, err := parseList(text)
	if err == nil && len(list) != 1 {
		err = errNotOne
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

var errNotOne = errors.New("expected one consumer behind the dash")

// parseList reads a list. A node is not expanded: an alias would be one, and is refused where it stands.
func parseList(text []byte) ([]*yaml.Node, error) {
	var document, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&document); err != nil {
		return nil, yamlMistake(err)
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("a second document begins in this consumer")
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.SequenceNode {
		return nil, errNotOne
	}
	return document.Content[0].Content, plain(document.Content[0])
}

// yamlMistake takes the line out of an error of the reader. Nothing else of the error is shown, for it may quote the
// file.
func yamlMistake(err error) error {
	m, text := &misread{text: "this is not YAML"}, err.Error()
	if _, after, ok := strings.Cut(text, "line "); ok {
		number, _, _ := strings.Cut(after, ":")
		if line, err := strconv.Atoi(number); err == nil && line > 0 {
			m.at = line - 1
		}
	}
	for _, known := range []string{
		"mapping values are not allowed in this context", "did not find expected key", "found unexpected end of stream",
		"found character that cannot start any token", "could not find expected ':'", "found undefined tag handle",
		"did not find expected '-' indicator", "found a tab character that violates indentation", "unknown anchor",
		"control characters are not allowed", "found unknown escape character",
	} {
		if strings.Contains(text, known) {
			m.text += ": " + known
			break
		}
	}
	return m
}

// yamlValue is a value for the decoder.
type yamlValue struct{ *yaml.Node }

// plain refuses what makes a text of YAML mean something that does not stand there.
func plain(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return predicate("has an anchor or an alias, and none is followed in a file of consumers: write the value itself")
	case n.Style&yaml.TaggedStyle != 0:
		return predicate("has a tag, and none is followed in a file of consumers: leave it out")
	}
	return nil
}

func (v yamlValue) text() (string, error) {
	if err := plain(v.Node); err != nil {
		return "", err
	}
	if v.Kind == yaml.ScalarNode && v.ShortTag() == "!!str" {
		return v.Value, nil
	}
	if v.Kind == yaml.ScalarNode {
		return "", predicate("is " + yamlKind(v.ShortTag()) + " in YAML, and has to be a text: put it in quotes")
	}
	return "", predicate("has to be a text")
}

func yamlKind(tag string) string {
	switch tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "a date"
	}
	return "no text"
}

func (v yamlValue) flag() (bool, error) {
	if err := plain(v.Node); err != nil {
		return false, err
	}
	if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!bool" || v.Value != "true" && v.Value != "false" {
		return false, predicate("has to be true or false")
	}
	return v.Value == "true", nil
}

func (v yamlValue) list(each func(i int, v value) error) error {
	if err := plain(v.Node); err != nil {
		return err
	}
	if v.Kind != yaml.SequenceNode {
		return predicate("has to be a list")
	}
	for i, element := range v.Content {
		if err := each(i, yamlValue{element}); err != nil {
			return err
		}
	}
	return nil
}

func (v yamlValue) object(each func(name string, v value) error) error {
	if err := plain(v.Node); err != nil {
		return err
	}
	if v.Kind != yaml.MappingNode {
		return predicate("has to have members, \"name: value\"")
	}
	for i := 0; i+1 < len(v.Content); i += 2 {
		name := v.Content[i]
		if err := plain(name); err != nil {
			return named("a name", err)
		}
		if name.Kind != yaml.ScalarNode {
			return errors.New("a name has to be a text")
		}
		if err := each(name.Value, yamlValue{v.Content[i+1]}); err != nil {
			return err
		}
	}
	return nil
}

// locateYAML finds the line of a mistake: of a member, unless the text is not YAML at all.
func locateYAML(text []byte, mistake error) int {
	if m, ok := errors.AsType[*misread](mistake); ok {
		return min(m.at, max(bytes.Count(text, newline)-1, 0))
	}
	at, err := parseYAML(text)
	if err != nil {
		return 0
	}
	line := at.Line
	for _, step := range steps(setting.Field(mistake)) {
		i, err := strconv.Atoi(step)
		switch {
		case at.Kind == yaml.SequenceNode && err == nil && i < len(at.Content):
			at = at.Content[i]
			line = at.Line
		case at.Kind == yaml.MappingNode:
			for i := len(at.Content) - 2; i >= 0; i -= 2 { // the last one, if the name is there twice
				if at.Content[i].Value == step {
					line, at = at.Content[i].Line, at.Content[i+1]
					break
				}
			}
		}
	}
	return line - 1
}
