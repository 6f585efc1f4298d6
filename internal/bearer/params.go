package bearer

import (
	"slices"
	"strings"
)

// findParam finds the parameter in form-urlencoded text (a URI query or a form body), in one pass. It decodes nothing
// but names that have escapes. Only "&" separates pairs, as in the WHATWG URL standard. It looks at every name, however
// many there are.
func findParam(text, name string) (presented, error) {
	var found presented
	for more := text != ""; more; {
		var pair string
		pair, text, more = strings.Cut(text, "&")
		switch ours, certain := readPair(pair, name); {
		case !certain:
			return presented{}, errAmbiguous
		case !ours:
		case found.ok:
			return presented{}, errTwoValues
		default:
			_, value, _ := strings.Cut(pair, "=")
			found = presented{text: value, encoded: true, ok: true}
		}
	}
	return found, nil
}

// readPair reports whether the pair is our parameter, and whether every other parser agrees. Some disagree when the
// name is only like ours. Others do when the pair has a semicolon and one of the parts is ours: HTML 4 and older
// servers split there.
func readPair(pair, name string) (ours, certain bool) {
	if len(pair) < len(name) {
		return false, true // decoding makes nothing longer
	}
	raw, _, _ := strings.Cut(pair, "=")
	if ours, certain = readName(raw, name); !certain || strings.IndexByte(pair, ';') < 0 {
		return ours, certain
	}
	for part := range strings.SplitSeq(pair, ";") {
		raw, _, _ = strings.Cut(part, "=")
		if partly, sure := readName(raw, name); partly || !sure {
			return ours, false
		}
	}
	return ours, true
}

// readName compares the name of a pair, percent-decoded once, with ours. Our names have no character that needs an
// escape, and no plus sign or space.
//
// A name with an invalid escape or a NUL is not ours. But lenient servers drop what they cannot decode, or stop there.
// If ours could remain ("j%wt", "jwt%00x"), the name is not certain. Nor is one that is only like ours.
func readName(raw, name string) (ours, certain bool) {
	if raw == name {
		return true, true
	}
	if strings.IndexByte(raw, '%') < 0 && strings.IndexByte(raw, 0) < 0 {
		return false, !alike(raw, name)
	}
	ours, broken := true, false
	at := 0     // how much of our name was matched without a gap
	within := 0 // how much of it was matched with gaps
	for i := 0; i < len(raw); {
		c, n := decodeByte(raw[i:])
		i += max(n, 1)
		broken = broken || n == 0 || c == 0
		if at < len(name) && c == name[at] {
			at++
		} else {
			ours = false
		}
		if within < len(name) && c == name[within] {
			within++
		}
	}
	if ours = ours && at == len(name) && !broken; ours {
		return true, true
	}
	return false, (!broken || within < len(name)) && !alike(raw, name)
}

// alike reports whether a less exact server would take a name, percent-decoded once, for ours. PHP drops spaces before
// a name, and turns dot, space and bracket into an underscore ("access.token" is "access_token"). ASP.NET compares in
// any case. Others trim brackets, or more kinds of white space than ASCII has. When the token is passed on, such a
// server could read one that was never verified. A list ("jwt[]") is not alike: no server takes it for one text.
func alike(raw, name string) bool {
	i := 0
	next := func() (c byte) {
		c, n := decodeByte(raw[i:])
		i += max(n, 1)
		return c
	}
	matched := 0
	for i < len(raw) && matched < len(name) {
		switch c := next(); {
		case lower(c) == lower(name[matched]), isJoint(c) && isJoint(name[matched]):
			matched++
		case matched > 0 || !isAround(c):
			return false
		}
	}
	for i < len(raw) {
		if c := next(); c == '[' || !isAround(c) {
			return false
		}
	}
	return matched == len(name)
}

// isJoint reports whether some servers take the character for an underscore.
func isJoint(c byte) bool { return strings.IndexByte("_.[ +", c) >= 0 }

// isAround reports whether some servers drop the character at the ends of a name.
func isAround(c byte) bool {
	return c <= ' ' || c >= 0x7f || strings.IndexByte("+[]", c) >= 0
}

// decodeByte reads one character, escaped or not. The size is 0 when s begins with an invalid escape.
func decodeByte(s string) (c byte, size int) {
	if s[0] != '%' {
		return s[0], 1
	}
	if len(s) < 3 {
		return '%', 0
	}
	high, ok1 := unhex(s[1])
	low, ok2 := unhex(s[2])
	if !ok1 || !ok2 {
		return '%', 0
	}
	return high<<4 | low, 3
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// unescape decodes a value once. A plus sign means a space here, although it is also in the b64token alphabet: clients
// must write it as %2B.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		c, n := decodeByte(s[i:])
		if n == 0 {
			return "", errEscape
		}
		if s[i] == '+' {
			c = ' '
		}
		out = append(out, c)
		i += n
	}
	return string(out), nil
}

// removeParams removes the pairs with these names from form-urlencoded text, each with one separator. Every other byte
// stays as it is and where it is. It also removes a pair that only some servers would take for ours; Extract has
// refused such a request.
func removeParams(text string, names []string) (rest string, removed bool) {
	return removeParts(text, "&", func(pair string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			ours, certain := readPair(pair, name)
			return ours || !certain
		})
	})
}

// removeParts removes the parts of a separated text that are ours. It copies nothing when there is none.
func removeParts(text, separator string, ours func(part string) bool) (rest string, removed bool) {
	for part := range strings.SplitSeq(text, separator) {
		if removed = ours(part); removed {
			break
		}
	}
	if !removed {
		return text, false
	}
	var kept strings.Builder
	kept.Grow(len(text))
	between := ""
	for part := range strings.SplitSeq(text, separator) {
		if ours(part) {
			continue
		}
		kept.WriteString(between)
		kept.WriteString(part)
		between = separator
	}
	return kept.String(), true
}
