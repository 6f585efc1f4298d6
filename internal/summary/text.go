package summary

import (
	"fmt"
	"strings"
	"time"
)

// parties lists the first parties. It asks only for those: there may be a hundred thousand.
func parties(n int, text func(i int) string) string {
	var all []string
	for i := range min(n, maxParties) {
		all = append(all, text(i))
	}
	return joined(all, n, "; ")
}

// list has the first names of a list, and how many more there are.
func list(names []string, limit int, between string) string {
	var all []string
	for _, name := range names[:min(len(names), limit)] {
		all = append(all, short(name))
	}
	return joined(all, len(names), between)
}

// first has the first texts of a list, and how many more there are.
func first(texts []string, between string) string {
	return joined(texts[:min(len(texts), maxNames)], len(texts), between)
}

func joined(these []string, n int, between string) string {
	text := strings.Join(these, between)
	switch more := n - len(these); {
	case more == 0:
		return text
	case between == " or ":
		return fmt.Sprintf("%s or one of %d more", text, more)
	default:
		return fmt.Sprintf("%s%sand %d more", text, between, more)
	}
}

// short bounds a text.
func short(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

func duration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func size(bytes int64) string {
	switch {
	case bytes == 0:
		return "off"
	case bytes%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", bytes>>20)
	default:
		return fmt.Sprintf("%d bytes", bytes)
	}
}
