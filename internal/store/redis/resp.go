package redis

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Bounds of one message of the protocol, in either direction. The largest that we cause is an answer of Read: what
// store.AnswerBounds allows, one more record, and the positions.
const (
	maxMessage  = 8 << 20 // bytes of its contents
	maxElements = 1 << 16 // of all its arrays
	maxDepth    = 5       // arrays in arrays: XREAD answers so many
	maxLine     = 16 << 10
	maxNumber   = len("-9223372036854775808")
)

// scanner follows a stream of messages of RESP2, however it is cut into pieces. It finds what rueidis must not see. To
// rueidis each length is true: it allocates what a server announces, and a negative length ends the process. Nothing of
// a message is kept but the line that is being read.
type scanner struct {
	line     []byte
	skip     int   // bytes of a bulk string that are still to come, with the end of its line
	open     []int // how many elements each open array still lacks
	bytes    int   // of the present message
	elements int   // of the present message
}

// feed takes the next piece of the stream, and returns how many messages end in it.
func (s *scanner) feed(piece []byte) (ended int, err error) {
	for len(piece) > 0 {
		var used, n int
		if s.skip > 0 {
			used, n = s.pass(piece)
		} else {
			used, n, err = s.read(piece)
		}
		if err != nil {
			return ended, err
		}
		ended += n
		piece = piece[used:]
	}
	return ended, nil
}

// pass goes over the content of a bulk string.
func (s *scanner) pass(piece []byte) (used, ended int) {
	used = min(len(piece), s.skip)
	if s.skip -= used; s.skip == 0 {
		ended = s.end()
	}
	return used, ended
}

// read takes a line, or the part of it that is there.
func (s *scanner) read(piece []byte) (used, ended int, err error) {
	at := bytes.IndexByte(piece, '\n') + 1
	whole := at > 0
	if !whole {
		at = len(piece)
	}
	s.line = append(s.line, piece[:min(at, maxLine+1)]...)
	if err := s.bounded(); err != nil || !whole {
		return at, 0, err
	}
	ended, err = s.message()
	s.line = s.line[:0]
	return at, ended, err
}

// bounded returns an error if the line that is being read cannot become a good one.
func (s *scanner) bounded() error {
	longest := maxLine
	switch s.line[0] {
	case '+', '-':
	case ':', '$', '*':
		longest = 1 + maxNumber + len("\r\n")
	default:
		return fmt.Errorf("a message of the unknown type %q", s.line[0])
	}
	if len(s.line) > longest {
		return errors.New("a line that is too long")
	}
	return nil
}

// message begins a message, and ends it if it has nothing but its line.
func (s *scanner) message() (ended int, err error) {
	text, good := bytes.CutSuffix(s.line, []byte("\r\n"))
	if !good {
		return 0, errors.New("a line without its end")
	}
	kind, text := text[0], text[1:]
	if kind == '+' || kind == '-' {
		return s.content(len(text), 0)
	}
	number, err := parseNumber(text)
	switch {
	case err != nil:
		return 0, err
	case kind == ':', number == -1, kind == '*' && number == 0:
		return s.end(), nil
	case number < 0 || number > maxMessage:
		return 0, fmt.Errorf("a length of %d", number)
	case kind == '$':
		return s.content(int(number), int(number)+len("\r\n"))
	default:
		return 0, s.array(int(number))
	}
}

func parseNumber(text []byte) (int64, error) {
	number, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || text[0] == '+' {
		return 0, errors.New("a number that is none")
	}
	return number, nil
}

// content counts the bytes of a text, of which some are still to come.
func (s *scanner) content(size, coming int) (ended int, err error) {
	if s.bytes += size; s.bytes > maxMessage {
		return 0, fmt.Errorf("a message of more than %d bytes", maxMessage)
	}
	if s.skip = coming; coming > 0 {
		return 0, nil
	}
	return s.end(), nil
}

func (s *scanner) array(elements int) error {
	if s.elements += elements; s.elements > maxElements {
		return fmt.Errorf("a message of more than %d elements", maxElements)
	}
	if len(s.open) == maxDepth {
		return fmt.Errorf("more than %d arrays in each other", maxDepth)
	}
	s.open = append(s.open, elements)
	return nil
}

// end ends a message, and each array whose last element it is. It returns 1 if it was not in an array.
func (s *scanner) end() int {
	for last := len(s.open) - 1; last >= 0; last-- {
		if s.open[last]--; s.open[last] > 0 {
			return 0
		}
		s.open = s.open[:last]
	}
	s.bytes, s.elements = 0, 0
	return 1
}
