package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Texts are what the configuration says about a resource for people. An empty text is not said.
type Texts struct {
	// Name of the resource (resource_name).
	Name string
	// Documentation, Policy and TermsOfService are addresses of pages: resource_documentation, resource_policy_uri and
	// resource_tos_uri.
	Documentation, Policy, TermsOfService string
}

// maxText bounds a text in bytes: the document is sent to everybody.
const maxText = 1024

// CheckText checks a text for the document: printable UTF-8, and if it is an address, an absolute URL with http or
// https (RFC 9728 section 2).
func CheckText(text string, address bool) error {
	switch {
	case len(text) > maxText:
		return fmt.Errorf("it is longer than %d bytes", maxText)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("it has a character that is not printable: write one line of UTF-8")
	case !address:
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil ||
		strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%q is not the address of a page: write an absolute URL, such as https://example.com/docs", text)
	}
	return nil
}

// Part is what one gate tells about its resource. Several gates may guard one resource.
type Part struct {
	// Texts for people.
	Texts Texts
	// Servers are the issuers of the tokens that the gate accepts, as far as clients can find them: see ForClients.
	Servers []string
	// Scopes are those that a client may need. Named are those that the configuration names for the document.
	Scopes, Named []string
	// Methods are the ways to send a token (RFC 6750 section 2): header, body and query.
	Methods []string
	// Binding is how tokens are bound to keys.
	Binding Binding
}

// Document is the metadata of one resource (RFC 9728 section 2).
type Document struct {
	Resource Identifier
	Texts    Texts
	// Servers, Scopes and Methods are authorization_servers, scopes_supported and bearer_methods_supported.
	Servers, Scopes, Methods []string
	// Binding suits all gates of the resource.
	Binding Binding
}

// offlineAccess asks for a refresh token. That is between client and authorization server, and no scope of a resource.
const offlineAccess = "offline_access"

// Unite makes the document of a resource from what its gates tell. Lists keep the order of the gates, and have each
// value once. Texts that contradict each other are an error.
func Unite(id Identifier, parts []Part) (Document, error) {
	document := Document{Resource: id}
	for i, part := range parts {
		if err := document.Texts.add(part.Texts); err != nil {
			return Document{}, err
		}
		document.Servers = appendNew(document.Servers, part.Servers)
		document.Methods = appendNew(document.Methods, part.Methods)
		if i == 0 {
			document.Binding = part.Binding
		}
		document.Binding = document.Binding.and(part.Binding)
		needed := slices.DeleteFunc(slices.Clone(part.Scopes), func(s string) bool { return s == offlineAccess })
		document.Scopes = appendNew(document.Scopes, needed)
	}
	for _, part := range parts {
		document.Scopes = appendNew(document.Scopes, part.Named)
	}
	return document, nil
}

// add adds texts of another gate.
func (t *Texts) add(more Texts) error {
	for _, text := range []struct {
		word string
		into *string
		more string
	}{
		{"name", &t.Name, more.Name},
		{"documentation", &t.Documentation, more.Documentation},
		{"policy", &t.Policy, more.Policy},
		{"tos", &t.TermsOfService, more.TermsOfService},
	} {
		switch {
		case text.more == "" || text.more == *text.into:
		case *text.into != "":
			return fmt.Errorf("its %s is %q in one gate and %q in another: clients get one document, so say it once, or "+
				"the same in both", text.word, *text.into, text.more)
		default:
			*text.into = text.more
		}
	}
	return nil
}

func appendNew(list, more []string) []string {
	for _, text := range more {
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// JSON writes the document. A member without a value is left out (RFC 9728 section 3.2), with one exception: an empty
// bearer_methods_supported says that the resource takes no token as RFC 6750 sends it (section 2).
func (d Document) JSON() []byte {
	var out bytes.Buffer
	out.WriteByte('{')
	write(&out, "resource", d.Resource.String())
	if len(d.Servers) > 0 {
		write(&out, "authorization_servers", d.Servers)
	}
	if len(d.Scopes) > 0 {
		write(&out, "scopes_supported", d.Scopes)
	}
	write(&out, "bearer_methods_supported", append([]string{}, d.Methods...))
	d.Binding.write(&out)
	for _, text := range []struct{ name, value string }{
		{"resource_name", d.Texts.Name},
		{"resource_documentation", d.Texts.Documentation},
		{"resource_policy_uri", d.Texts.Policy},
		{"resource_tos_uri", d.Texts.TermsOfService},
	} {
		if text.value != "" {
			write(&out, text.name, text.value)
		}
	}
	out.WriteString("}\n")
	return out.Bytes()
}

// write writes one member. Every value is a text, a list of texts or a boolean, which always have a JSON.
func write(out *bytes.Buffer, name string, value any) {
	if out.Len() > 1 {
		out.WriteByte(',')
	}
	encoded, _ := json.Marshal(value)
	fmt.Fprintf(out, "%q:%s", name, encoded)
}
