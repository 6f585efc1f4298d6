package jose

import "bytes"

// WithoutMark removes a byte order mark from the beginning of a text. Some editors write one. It has no meaning in
// UTF-8, and a JSON parser may ignore it (RFC 8259 section 8.1).
func WithoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) }

// PlainText returns a text in the form that encoding/pem reads: without a byte order mark, and with lines that end in
// LF. RFC 7468 section 3 allows CRLF, CR and LF.
func PlainText(text []byte) []byte {
	text = bytes.ReplaceAll(WithoutMark(text), []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
}
