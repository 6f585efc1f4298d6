package bearer

import (
	"net/http"
	"slices"
	"strings"
)

// findCookie finds the cookie in all lines of the Cookie field (RFC 6265 section 5.4), because HTTP/2 clients may split
// the field (RFC 9113 section 8.2.3). It takes values as they are. Double quotes make a value malformed, as does any
// other character outside of the alphabet. An emptied cookie holds no token, but next to a full one of the same name it
// counts as a second value.
func findCookie(lines []string, name string) (presented, error) {
	var found presented
	emptied := false
	for _, line := range lines {
		quoted := false // a quote was opened earlier in the line
		for part := range strings.SplitSeq(line, ";") {
			value, ours := readCookie(part, name)
			switch {
			case ours && found.ok:
				return presented{}, errTwoValues
			case ours && quoted, !ours && hidesCookie(part, name):
				return presented{}, errAmbiguous
			case ours && isEmptied(part, name):
				emptied = true
			case ours:
				found = presented{text: value, ok: true}
			}
			if strings.Count(part, `"`)%2 == 1 {
				// Some servers let quotes protect semicolons and others do not, so they disagree about what stands in between.
				quoted = !quoted
			}
		}
	}
	if found.ok && emptied {
		return presented{}, errTwoValues
	}
	return found, nil
}

// isEmptied reports whether the pair is our cookie with an empty value, which some servers write with quotes (RFC 6265
// section 4.1.1). Most frameworks leave such a cookie behind when they delete one that was set with another path or
// domain.
func isEmptied(pair, name string) bool {
	value, ours := strings.CutPrefix(strings.Trim(pair, blank), name)
	return ours && (value == "=" || value == `=""`)
}

// readCookie reads one pair, and ignores white space around it. Some servers keep white space around the "=" and others
// drop it. So it stays in the value, which makes the value malformed.
func readCookie(pair, name string) (value string, ours bool) {
	rest, ours := strings.CutPrefix(strings.Trim(pair, blank), name)
	if !ours || rest == "" {
		return "", ours
	}
	if value, ours = strings.CutPrefix(rest, "="); ours {
		return value, true
	}
	after := strings.TrimLeft(rest, blank)
	return rest, after != rest && strings.HasPrefix(after, "=")
}

// hidesCookie reports whether some servers, but not all, would take the pair for our cookie. Its name may be like ours,
// with escapes that CGI programs decode. Or ours may follow a comma, which separated cookies in RFC 2965 and still does
// for some servers.
func hidesCookie(pair, name string) bool {
	first := true
	for part := range strings.SplitSeq(pair, ",") {
		if _, ours := readCookie(part, name); ours && !first {
			return true
		}
		if raw, _, _ := strings.Cut(part, "="); alike(raw, name) {
			return true
		}
		first = false
	}
	return false
}

// removeCookies takes the named cookies out of the Cookie field, and the field out of the request when nothing is left
// of it.
func removeCookies(h http.Header, names []string) {
	ours := func(pair string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			_, mine := readCookie(pair, name)
			return mine || hidesCookie(pair, name)
		})
	}
	lines := h["Cookie"]
	kept := make([]string, 0, len(lines))
	changed := false
	for _, line := range lines {
		rest, removed := removeParts(line, ";", ours)
		if !removed {
			kept = append(kept, line)
			continue
		}
		changed = true
		if rest = strings.TrimLeft(rest, blank); rest != "" {
			kept = append(kept, rest)
		}
	}
	switch {
	case !changed:
	case len(kept) == 0:
		delete(h, "Cookie")
	default:
		h["Cookie"] = kept
	}
}
