package causes

import (
	"fmt"
	"strings"
	"sync"
)

// maxCompared bounds the length of an iss that is compared with the configured issuers, in bytes.
const maxCompared = 1024

// Issuers describes how an iss that names no configured issuer differs from those that are configured. It is safe for
// concurrent use. The cost of a comparison does not depend on the number of issuers, except that of the first, which
// makes the index.
type Issuers struct {
	names []string
	index func() map[string]int
}

// several is the value in the index for a key that several issuers have.
const several = -1

// NewIssuers makes the description of these configured issuers. The caller must not change the names.
func NewIssuers(names []string) *Issuers {
	n := &Issuers{names: names}
	n.index = sync.OnceValue(func() map[string]int { return indexOf(names) })
	return n
}

// Describe compares an iss with the configured issuers. It names the one that was probably meant, and the difference.
// Otherwise it lists the first few. The result is empty if no issuer is configured.
func (n *Issuers) Describe(iss string) string {
	if near, found := n.Near(iss); found {
		return difference(iss, near)
	}
	return n.List()
}

// List names the first of the configured issuers. It is empty if there are none.
func (n *Issuers) List() string {
	switch len(n.names) {
	case 0:
		return ""
	case 1:
		return "the only issuer here is " + Quote(n.names[0])
	default:
		return fmt.Sprintf("the %d issuers here are %s", len(n.names), List(n.names))
	}
}

// Near finds the configured issuer that is most like an iss, and was probably meant.
func (n *Issuers) Near(iss string) (name string, found bool) {
	if iss == "" || len(iss) > maxCompared {
		return "", false
	}
	index := n.index()
	for _, key := range keysOf(iss) {
		if at, known := index[key]; known {
			if at == several {
				return "", false // to name one of them would mislead
			}
			return n.names[at], true
		}
	}
	return "", false
}

func indexOf(names []string) map[string]int {
	index := make(map[string]int)
	for i, name := range names {
		if len(name) > maxCompared {
			continue
		}
		for _, key := range keysOf(name) {
			if _, twice := index[key]; twice {
				index[key] = several
			} else {
				index[key] = i
			}
		}
	}
	return index
}

// keysOf are what two issuers have in common, the closest likeness first: all but scheme, case, default port and the
// slash at the end; host and path; the path, or a port; the host.
func keysOf(name string) []string {
	if issuer, isDocument := withoutDocument(name); isDocument {
		name = issuer
	}
	a := split(strings.ToLower(name))
	path := strings.TrimRight(a.path, "/")
	keys := append(make([]string, 0, 4), "all "+a.host+":"+a.port+path, "host and path "+a.host+path)
	switch {
	case path != "":
		keys = append(keys, "path "+path)
	case a.port != "":
		keys = append(keys, "port "+a.port)
	}
	return append(keys, "host "+a.host)
}

// address is an issuer in parts. It need not be an address: any text has parts.
type address struct{ scheme, host, port, path string }

// split takes a text apart. A default port counts as none.
func split(text string) (a address) {
	scheme, rest, found := strings.Cut(text, "://")
	if found {
		a.scheme = scheme
	} else {
		rest = text
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	a.host, a.path = rest[:end], rest[end:]
	if colon := strings.LastIndexByte(a.host, ':'); colon > strings.LastIndexByte(a.host, ']') {
		a.host, a.port = a.host[:colon], a.host[colon+1:]
	}
	if strings.EqualFold(a.scheme, "https") && a.port == "443" || strings.EqualFold(a.scheme, "http") && a.port == "80" {
		a.port = ""
	}
	return a
}

// The places of metadata: OpenID Connect Discovery 1.0 section 4, and RFC 8414 section 3.1. Both standards are applied
// in both ways.
var documents = []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"}

// withoutDocument returns the issuer whose metadata is at an address.
func withoutDocument(address string) (issuer string, isDocument bool) {
	for _, document := range documents {
		if before, after, found := strings.Cut(address, document); found {
			return before + after, true
		}
	}
	return address, false
}

// difference says in what an iss differs from the configured issuer that it is like.
func difference(iss, name string) string {
	_, issDocument := withoutDocument(iss)
	_, nameDocument := withoutDocument(name)
	switch {
	case issDocument && !nameDocument:
		return "that is the address of the metadata of the issuer " + Quote(name)
	case nameDocument && !issDocument:
		return fmt.Sprintf("the issuer %s is the address of metadata: write the iss instead", Quote(name))
	}
	a, b := split(iss), split(name)
	switch {
	case a.path != b.path && strings.HasPrefix(name, iss):
		if strings.TrimRight(a.path, "/") != strings.TrimRight(b.path, "/") {
			return fmt.Sprintf("the issuer %s begins with it", Quote(name))
		}
	case a.path != b.path && strings.HasPrefix(iss, name):
		if strings.TrimRight(a.path, "/") != strings.TrimRight(b.path, "/") {
			return fmt.Sprintf("it begins with the issuer %s", Quote(name))
		}
	}
	return fmt.Sprintf("the issuer %s differs in %s", Quote(name), strings.Join(differences(a, b), " and "))
}

func differences(a, b address) (list []string) {
	letters := false // whether upper and lower case differ
	compare := func(a, b, what string) {
		switch {
		case a == b:
		case strings.EqualFold(a, b):
			letters = true
		default:
			list = append(list, what)
		}
	}
	compare(a.scheme, b.scheme, "the scheme")
	compare(a.host, b.host, "the host")
	compare(a.port, b.port, "the port")
	path, other := strings.TrimRight(a.path, "/"), strings.TrimRight(b.path, "/")
	compare(path, other, "the path")
	if len(a.path)-len(path) != len(b.path)-len(other) && strings.EqualFold(path, other) {
		list = append(list, "the slash at its end")
	}
	if letters {
		list = append(list, "upper and lower case")
	}
	if len(list) == 0 {
		list = append(list, "the default port, which is written out")
	}
	return list
}
