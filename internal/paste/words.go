package paste

import (
	"errors"
	"strconv"
	"strings"
)

var (
	errQuote  = errors.New("a quote in the command is not closed")
	errEscape = errors.New("the command has an escape in $'…' that is not known here")
	errShell  = errors.New("the command has a variable or another command inside ($… or `…`), which only a shell " +
		"replaces: give its value, or let your shell run \"caddy bearer-auth explain … -- curl …\"")
	errAmpersand = errors.New("the command has an & outside of quotes, which ends it in a shell: put the " +
		"address in quotes")
)

// isCurl reports whether a text is a curl command.
func isCurl(text string) bool {
	name, _, _ := strings.Cut(strings.ReplaceAll(text, "\n", " "), " ")
	return isCurlName(name)
}

func isCurlName(word string) bool {
	name := word[strings.LastIndexAny(word, `/\`)+1:]
	return name == "curl" || name == "curl.exe"
}

// Quote makes one text of the words of a command, which Read takes apart again.
func Quote(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = word
		if word == "" || strings.ContainsFunc(word, func(c rune) bool {
			return isNotLetter(c) && (c < '0' || c > '9') && !strings.ContainsRune("%+,-./:=@_", c)
		}) {
			quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// splitter splits a command as a POSIX shell does (Shell Command Language, section 2.2), with the quotes $'…' that
// browsers write. It replaces nothing: a variable is an error.
type splitter struct {
	rest  string
	word  strings.Builder
	begun bool // there is a word, even if it is still empty
	words []string
}

// split splits the first command of a text into words.
func split(text string) ([]string, error) {
	s := &splitter{rest: text}
	for s.rest != "" {
		c := s.rest[0]
		s.rest = s.rest[1:]
		switch c {
		case ' ', '\t', '\r':
			s.end()
		case '\n', ';', '|', '<':
			s.end()
			return s.words, nil
		case '>':
			if _, err := strconv.Atoi(s.word.String()); err == nil { // 2>file
				s.begun = false
			}
			s.end()
			return s.words, nil
		case '&':
			return nil, errAmpersand
		default:
			s.begun = true
			if err := s.take(c); err != nil {
				return nil, err
			}
		}
	}
	s.end()
	return s.words, nil
}

func (s *splitter) end() {
	if s.begun {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.begun = false
}

// take takes what begins with c and belongs to the word.
func (s *splitter) take(c byte) error {
	switch c {
	case '\'':
		end := strings.IndexByte(s.rest, '\'')
		if end < 0 {
			return errQuote
		}
		s.word.WriteString(s.rest[:end])
		s.rest = s.rest[end+1:]
	case '"':
		return s.double()
	case '`':
		return errShell
	case '$':
		return s.dollar()
	case '\\':
		if s.rest == "" {
			return errQuote
		}
		next := s.rest[0]
		if next == '\r' && len(s.rest) > 1 { // a line end of Windows
			s.rest = s.rest[1:]
			next = s.rest[0]
		}
		s.rest = s.rest[1:]
		if next != '\n' {
			s.word.WriteByte(next)
		} else if s.word.Len() == 0 {
			s.begun = false // the backslash only continues the line
		}
	default:
		s.word.WriteByte(c)
	}
	return nil
}

// double takes a text in double quotes.
func (s *splitter) double() error {
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; c {
		case '"':
			s.rest = s.rest[i+1:]
			return nil
		case '`':
			return errShell
		case '$':
			if expands(s.rest[i+1:]) {
				return errShell
			}
			s.word.WriteByte(c)
		case '\\':
			if i++; i == len(s.rest) {
				return errQuote
			}
			switch next := s.rest[i]; next {
			case '\n':
			case '$', '`', '"', '\\':
				s.word.WriteByte(next)
			default:
				s.word.WriteByte('\\')
				s.word.WriteByte(next)
			}
		default:
			s.word.WriteByte(c)
		}
	}
	return errQuote
}

// dollar takes $'…', or a dollar sign that means itself.
func (s *splitter) dollar() error {
	if strings.HasPrefix(s.rest, "'") {
		s.rest = s.rest[1:]
		return s.ansi()
	}
	if expands(s.rest) {
		return errShell
	}
	s.word.WriteByte('$')
	return nil
}

// expands reports whether a shell replaces what follows a dollar sign.
func expands(rest string) bool {
	if rest == "" {
		return false
	}
	c := rest[0]
	return !isNotLetter(rune(c)) || c >= '0' && c <= '9' || strings.IndexByte("_{(@*#?$!-", c) >= 0
}

// ansi takes a text with the escapes of C up to its quote.
func (s *splitter) ansi() error {
	for s.rest != "" {
		switch {
		case s.rest[0] == '\'':
			s.rest = s.rest[1:]
			return nil
		case s.rest[0] != '\\':
			s.word.WriteByte(s.rest[0])
			s.rest = s.rest[1:]
		case len(s.rest) > 1 && strings.IndexByte("'\"?", s.rest[1]) >= 0:
			s.word.WriteByte(s.rest[1])
			s.rest = s.rest[2:]
		default:
			// Go's escapes are those of C here, except that \u has up to four digits in C.
			value, multibyte, rest, err := strconv.UnquoteChar(s.rest, 0)
			if err != nil {
				return errEscape
			}
			if multibyte {
				s.word.WriteRune(value)
			} else {
				s.word.WriteByte(byte(value))
			}
			s.rest = rest
		}
	}
	return errQuote
}
