package jose

import "bytes"

// WithoutMark takes a byte order mark off the beginning of a text. Some editors write one; it says nothing in UTF-8,
// and a parser of JSON may overlook it (RFC 8259 section 8.1).
func WithoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) }

// PlainText is a text as encoding/pem reads it: without a byte order mark, and with lines that end in LF. RFC 7468
// section 3 lets lines end in CRLF, CR or LF.
func PlainText(text []byte) []byte {
	text = bytes.ReplaceAll(WithoutMark(text), []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
}
