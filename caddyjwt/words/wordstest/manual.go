// Package wordstest compares the tables of a directive's words with its manual, its syntax card and its test data.
package wordstest

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// Manual is a document with a section for each block of a directive. A section has a table with the columns Caddyfile,
// JSON and what it means.
type Manual struct {
	// File is its path, relative to the test.
	File string
	// Sections has the struct that the block of a section fills.
	Sections map[string]reflect.Type
	// Tables are those of the directive.
	Tables map[string][]words.Entry
	// Documented are structs whose fields are documented elsewhere, too.
	Documented []reflect.Type
}

// Check requires that the manual has every word and every field, says what each word fills, and has nothing else.
func (m *Manual) Check(t *testing.T) {
	t.Helper()
	documented := m.Rows(t)
	m.words(t, documented)
	m.fills(t, documented)
	m.fields(t, documented)
}

// Each form of each word has a row in the manual, and each row is such a form.
func (m *Manual) words(t *testing.T, documented map[string][]Row) {
	t.Helper()
	for section := range m.Sections {
		var want, got []string
		for _, entry := range m.Tables[section] {
			want = append(want, entry.Forms()...)
		}
		for _, row := range documented[section] {
			got = append(got, row.Forms...)
		}
		m.compare(t, section, "the table of its words", want, got)
	}
	if len(m.Tables) != len(m.Sections) {
		t.Errorf("the directive has the blocks %v, the test knows %v",
			slices.Sorted(maps.Keys(m.Tables)), slices.Sorted(maps.Keys(m.Sections)))
	}
}

// The row of a word names the JSON fields that the word fills. It says "Repeatable" if the word is.
func (m *Manual) fills(t *testing.T, documented map[string][]Row) {
	t.Helper()
	for block, entries := range m.Tables {
		for _, entry := range entries {
			var fields []string
			for _, row := range documented[block] {
				if len(row.Forms) == 0 || strings.Fields(row.Forms[0])[0] != entry.Name {
					continue
				}
				fields = append(fields, row.JSON...)
				if said := strings.Contains(row.Meaning, "Repeatable"); said != entry.Repeatable {
					t.Errorf("%s, %s of %s: repeatable is %v there, and %v in the table",
						m.File, entry.Name, block, said, entry.Repeatable)
				}
			}
			for _, field := range entry.JSON {
				if !slices.Contains(fields, field) {
					t.Errorf("%s, %s of %s: no row has the JSON field %q", m.File, entry.Name, block, field)
				}
			}
			for _, field := range fields {
				top := strings.FieldsFunc(field, func(c rune) bool { return c == '.' || c == '[' })[0]
				if !slices.Contains(entry.JSON, top) {
					t.Errorf("%s, %s of %s: a row has the JSON field %q, and the word fills %v",
						m.File, entry.Name, block, field, entry.JSON)
				}
			}
		}
	}
}

func (m *Manual) fields(t *testing.T, documented map[string][]Row) {
	t.Helper()
	for section, structure := range m.Sections {
		var got []string
		for _, row := range documented[section] {
			got = append(got, row.JSON...)
		}
		m.compare(t, section, "the structs", m.JSONFields(structure), got)
	}
}

// compare compares two lists of one section, in both directions.
func (m *Manual) compare(t *testing.T, section, source string, want, got []string) {
	t.Helper()
	for _, text := range want {
		if !slices.Contains(got, text) {
			t.Errorf("%s, section %q, lacks %q, which %s has", m.File, section, text, source)
		}
	}
	for _, text := range got {
		if !slices.Contains(want, text) {
			t.Errorf("%s, section %q, has %q, which %s does not have", m.File, section, text, source)
		}
	}
	if len(want) == 0 {
		t.Errorf("section %q: %s has nothing, the test cannot be right", section, source)
	}
}

// Cells splits a row of a table; "\|" is a bar inside a cell.
func Cells(row string) []string {
	const bar = "\x00"
	row = strings.ReplaceAll(strings.TrimSpace(row), `\|`, bar)
	list := strings.Split(strings.Trim(row, "|"), "|")
	for i := range list {
		list[i] = strings.TrimSpace(strings.ReplaceAll(list[i], bar, "|"))
	}
	return list
}

// JSONFields lists the fields of a struct: those of nested structs after a dot, of list elements after "[].". A struct
// that is documented elsewhere is not entered.
func (m *Manual) JSONFields(structure reflect.Type) []string { return m.jsonFields(structure, "") }

func (m *Manual) jsonFields(structure reflect.Type, prefix string) []string {
	var fields []string
	for i := range structure.NumField() {
		field := structure.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		if field.Anonymous && name == "" { // its fields are among ours in JSON
			fields = append(fields, m.jsonFields(field.Type, prefix)...)
			continue
		}
		path := prefix + name
		fields = append(fields, path)
		inner := field.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			if inner.Kind() == reflect.Slice {
				path += "[]"
			}
			inner = inner.Elem()
		}
		own := slices.Contains(append(slices.Collect(maps.Values(m.Sections)), m.Documented...), inner)
		if inner.Kind() == reflect.Struct && !own {
			fields = append(fields, m.jsonFields(inner, path+".")...)
		}
	}
	return fields
}

var (
	sectionHeading = regexp.MustCompile("^## `([a-z_]+)`")
	anyHeading     = regexp.MustCompile("^#+ ")
	// CodeSpan is text between backquotes.
	CodeSpan = regexp.MustCompile("`([^`]+)`")
)

// Row is one of the tables with a Caddyfile and a JSON column.
type Row struct {
	Forms, JSON []string // the code spans of these columns
	Meaning     string
}

// Rows reads these tables, by section.
func (m *Manual) Rows(t *testing.T) map[string][]Row {
	t.Helper()
	text, err := os.ReadFile(m.File)
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][]Row)
	section, inTable := "", false
	for line := range strings.Lines(string(text)) {
		if heading := sectionHeading.FindStringSubmatch(line); heading != nil {
			section = heading[1]
		} else if anyHeading.MatchString(line) {
			section = ""
		}
		switch {
		case strings.HasPrefix(line, "| Caddyfile | JSON |"):
			inTable = true
			if _, known := m.Sections[section]; !known {
				t.Errorf("a table of words stands outside of the sections: %q", section)
			}
			continue
		case !strings.HasPrefix(line, "|"):
			inTable = false
		}
		if columns := Cells(line); inTable {
			rows[section] = append(rows[section], Row{Codes(columns[0]), Codes(columns[1]), columns[2]})
		}
	}
	return rows
}

// Codes are the code spans of a cell.
func Codes(cell string) (texts []string) {
	for _, span := range CodeSpan.FindAllStringSubmatch(cell, -1) {
		texts = append(texts, span[1])
	}
	return texts
}
