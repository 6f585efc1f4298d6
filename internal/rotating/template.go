// Package rotating has values that come from files and follow them: credentials that somebody replaces while they are
// in use.
package rotating

import "slices"

// Template says what a text is made of: texts and the contents of files, one after the other. It stays the same when
// the files change. So it can be part of a fingerprint.
type Template struct {
	Parts []Part

	// First is the text of the moment when the template was made.
	First string `fingerprint:"-"` // it changes with the files
}

// Part is one part of a text.
type Part struct {
	// Text is the part itself or, with File, the path of the file that has it.
	Text string
	File bool
}

// Rotates reports whether the text can change.
func (t Template) Rotates() bool {
	return slices.ContainsFunc(t.Parts, func(p Part) bool { return p.File })
}

// Field is a header field whose value may change.
type Field struct {
	Name  string
	Value Template
}
