package strictjson

import "math/bits"

func skipSpace(text string, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

// skipPlain returns the offset of the first byte at or after i that has a meaning inside a string: a quote, a backslash
// or a control character. If there is none, it returns len(text). It looks at eight bytes at a time, because most of a
// token's text is inside strings. In each of the three tests a byte can be flagged wrongly only above one that is
// flagged rightly, so the lowest flag is always right.
func skipPlain(text string, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(text)-i >= 8; i += 8 {
		w := load64(text[i : i+8])
		quote := w ^ '"'*ones
		slash := w ^ '\\'*ones
		found := ((w-0x20*ones)&^w | (quote-ones)&^quote | (slash-ones)&^slash) & highs
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(text) && text[i] >= 0x20 && text[i] != '"' && text[i] != '\\' {
		i++
	}
	return i
}

// load64 reads eight bytes, the first one lowest; compilers make one load of it.
func load64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// The functions below walk over text that is known to be valid.

// skipComma skips what separates two elements or members.
func skipComma(text string, i int) int {
	i = skipSpace(text, i)
	if text[i] == ',' {
		i = skipSpace(text, i+1)
	}
	return i
}

// skipValue returns the offset after the value that starts at i.
func skipValue(text string, i int) int {
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		return skipContainer(text, i)
	}
	for i < len(text) { // a number or a literal, up to what may follow one
		switch text[i] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return i
		}
		i++
	}
	return i
}

// skipContainer counts brackets instead of recursing, because they are known to match.
func skipContainer(text string, i int) int {
	for open := 0; ; {
		switch text[i] {
		case '"':
			i = skipString(text, i)
			continue
		case '{', '[':
			open++
		case '}', ']':
			open--
		}
		i++
		if open == 0 {
			return i
		}
	}
}

func skipString(text string, i int) int {
	for i = skipPlain(text, i+1); text[i] != '"'; i = skipPlain(text, i) {
		i += 2 // a backslash and what it escapes
	}
	return i + 1
}
