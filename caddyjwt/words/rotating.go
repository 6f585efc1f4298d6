package words

import (
	"errors"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/rotating"
)

// Rotating is Text for a setting whose files are read again when they change: those of its {file.*} placeholders. What
// is no regular file is read once, because it might not end or not be there again, such as a pipe.
func (s *Settings) Rotating(what, value string) (t rotating.Template, known bool, err error) {
	text, known, err := s.Text(what, value)
	if err != nil || !known {
		return fixed(text), known, err
	}
	return s.template(value, text), true, nil
}

// RotatingPEM is PEM for a setting whose file is read again when it changes.
func (s *Settings) RotatingPEM(what, value string) (t rotating.Template, known bool, err error) {
	path, text, known, err := s.pem(what, value)
	switch {
	case err != nil || !known:
		return fixed(text), known, err
	case path == "":
		return s.template(value, text), true, nil
	}
	return rotating.Template{Parts: []rotating.Part{{Text: path, File: isRegular(path)}}, First: text}, true, nil
}

// fixed is the template of a text that never changes.
func fixed(text string) rotating.Template {
	return rotating.Template{Parts: []rotating.Part{{Text: text}}, First: text}
}

// template finds the files in a value whose text is already known. It reads none of them.
func (s *Settings) template(value, text string) rotating.Template {
	if !strings.Contains(value, "{"+fileBegin) {
		return fixed(text)
	}
	// Between two marks there is no text of the configuration, and no value: a value with a mark makes one part more.
	const mark = "\x00"
	var files []string
	marked, err := s.repl.WithoutFile().ReplaceFunc(value, func(name string, found any) (any, error) {
		path, is := strings.CutPrefix(name, fileBegin)
		switch {
		case !is:
			return content(caddy.ToString(found)), nil
		case !isRegular(path):
			return nil, errors.New("not a regular file")
		}
		files = append(files, path)
		return mark, nil
	})
	texts := strings.Split(marked, mark)
	if err != nil || len(files) == 0 || len(texts) != len(files)+1 {
		return fixed(text) // that of this moment, for good
	}
	t := rotating.Template{First: text}
	for i, between := range texts {
		if between != "" {
			t.Parts = append(t.Parts, rotating.Part{Text: between})
		}
		if i < len(files) {
			t.Parts = append(t.Parts, rotating.Part{Text: files[i], File: true})
		}
	}
	return t
}

const fileBegin = "file."

func isRegular(path string) bool {
	stat, err := os.Stat(path)
	return err == nil && stat.Mode().IsRegular()
}
