package paste

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Options of curl without a value, and options whose value does not matter here. One that is missing is an error: if
// its value were taken for the address, the explanation would be about another request.
var (
	flags = strings.Fields(`anyauth basic compressed compressed-ssh crlf digest disable fail fail-early fail-with-body
		globoff http0.9 http1.0 http1.1 http2 http2-prior-knowledge http3 http3-only include insecure ipv4 ipv6
		junk-session-cookies location location-trusted negotiate no-alpn no-buffer no-keepalive no-progress-meter
		no-sessionid ntlm parallel path-as-is post301 post302 post303 progress-bar proxy-insecure raw remote-name
		remote-header-name show-error show-headers silent sslv2 sslv3 ssl-reqd styled-output tcp-fastopen tcp-nodelay
		tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 tr-encoding trace-time verbose ssl-no-revoke no-progress`)
	ignored = strings.Fields(`cacert capath cert cert-type ciphers connect-timeout connect-to cookie-jar
		curves dns-servers dump-header interface key key-type limit-rate local-port max-filesize max-redirs max-time noproxy
		output output-dir pass pinnedpubkey preproxy proxy proxy-header proxy-user proto rate referer resolve retry
		retry-delay retry-max-time socks4 socks5 socks5-hostname speed-limit speed-time stderr tls-max tls13-ciphers trace
		trace-ascii unix-socket abstract-unix-socket user-agent write-out range continue-at time-cond keepalive-time`)
	// short has the long names of options of one letter.
	short = map[byte]string{
		'H': "header", 'b': "cookie", 'd': "data", 'G': "get", 'X': "request", 'I': "head", 'u': "user", 'F': "form",
		'T': "upload-file", 'K': "config", 'n': "no-progress", 'a': "no-progress", 'f': "fail", 'g': "globoff",
		'i': "include", 'j': "junk-session-cookies", 'J': "remote-header-name", 'k': "insecure", 'L': "location",
		'N': "no-buffer", 'O': "remote-name", 'p': "no-progress", 'q': "disable", 's': "silent", 'S': "show-error",
		'v': "verbose", 'Z': "parallel", '#': "progress-bar", '0': "http1.0", '1': "tlsv1", '4': "ipv4", '6': "ipv6",
		'A': "user-agent", 'c': "cookie-jar", 'C': "continue-at", 'D': "dump-header", 'e': "referer", 'E': "cert",
		'm': "max-time", 'o': "output", 'r': "range", 'U': "proxy-user", 'w': "write-out", 'x': "proxy", 'y': "speed-time",
		'Y': "speed-limit", 'z': "time-cond",
	}
)

var errFile = errors.New("the command reads a file (@… or -b with a file name): write the content in its place")

// command is a curl command that is being read.
type command struct {
	method, address string
	fields          []string
	data, query     []string
	contentType     string
	get, multipart  bool
}

// curl makes the request that a curl command sends. It follows no redirect and reads no file.
func curl(words []string) (Input, error) {
	if len(words) == 0 || !isCurlName(words[0]) {
		return Input{}, errors.New("expected a curl command")
	}
	c := new(command)
	words = words[1:]
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		var err error
		switch {
		case word == "--next" || word == "-:":
			return Input{}, errors.New("the command sends several requests (--next): give one of them")
		case strings.HasPrefix(word, "--") && len(word) > 2:
			words, err = c.long(word[2:], words)
		case strings.HasPrefix(word, "-") && len(word) > 1 && word != "--":
			words, err = c.letters(word[1:], words)
		case word != "--":
			err = c.url(word)
		}
		if err != nil {
			return Input{}, err
		}
	}
	return c.request()
}

// long reads an option with its long name, and returns the words after it.
func (c *command) long(name string, words []string) ([]string, error) {
	if slices.Contains(flags, name) || slices.Contains(flags, strings.TrimPrefix(name, "no-")) {
		return words, nil
	}
	switch name {
	case "get":
		c.get = true
		return words, nil
	case "head":
		c.method = http.MethodHead
		return words, nil
	}
	if !slices.Contains(ignored, name) && !slices.Contains(known, name) {
		return nil, fmt.Errorf("this option of curl is not known here: %s; leave it out", harmless("--"+name))
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("the option --%s of curl has no value", name)
	}
	return words[1:], c.option(name, words[0])
}

// harmless is the name of an option for an error, or a description if the name could be a part of a token.
func harmless(option string) string {
	if len(option) > 24 || strings.ContainsFunc(option, func(c rune) bool { return c != '-' && (c < 'a' || c > 'z') }) {
		return "one with a long name"
	}
	return option
}

// letters reads options of one letter each. The value of one of them may follow without a blank.
func (c *command) letters(text string, words []string) ([]string, error) {
	for i := range len(text) {
		name, ok := short[text[i]]
		if !ok {
			return nil, errors.New("an option of curl with one letter is not known here; leave it out")
		}
		if slices.Contains(flags, name) || name == "get" || name == "head" {
			if _, err := c.long(name, nil); err != nil {
				return nil, err
			}
			continue
		}
		if i+1 < len(text) {
			words = append([]string{text[i+1:]}, words...)
		}
		return c.long(name, words)
	}
	return words, nil
}

// known are the options with a value that decide what is sent.
var known = strings.Fields(`header cookie data data-ascii data-binary data-raw data-urlencode json url-query request
	user oauth2-bearer form form-string upload-file url config`)

// option takes an option with a value.
func (c *command) option(name, value string) error {
	switch name {
	case "header":
		return c.header(value)
	case "cookie":
		if !strings.Contains(value, "=") {
			return errFile
		}
		c.fields = append(c.fields, "Cookie: "+value)
	case "data", "data-ascii", "data-binary", "json":
		if strings.HasPrefix(value, "@") {
			return errFile
		}
		c.data = append(c.data, value)
		if name == "json" {
			c.contentType = "application/json"
		}
	case "data-raw":
		c.data = append(c.data, value)
	case "data-urlencode", "url-query":
		encoded, err := urlencode(value)
		if err != nil {
			return err
		}
		if name == "url-query" {
			c.query = append(c.query, encoded)
		} else {
			c.data = append(c.data, encoded)
		}
	case "request":
		c.method = value
	case "user":
		user, password, _ := strings.Cut(value, ":")
		c.fields = append(c.fields,
			"Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	case "oauth2-bearer":
		c.fields = append(c.fields, "Authorization: Bearer "+value)
	case "form", "form-string":
		c.multipart = true
	case "upload-file":
		if c.method == "" {
			c.method = http.MethodPut
		}
	case "url":
		return c.url(value)
	case "config":
		return errFile
	}
	return nil
}

func (c *command) header(line string) error {
	name, value, colon := strings.Cut(line, ":")
	switch {
	case strings.HasPrefix(line, "@"):
		return errFile
	case !colon && strings.HasSuffix(line, ";"): // a field without a value
		c.fields = append(c.fields, strings.TrimSuffix(line, ";")+":")
	case colon && strings.TrimSpace(value) == "": // removes a field of curl's own
	case colon && isToken(name):
		c.fields = append(c.fields, line)
	default:
		return errors.New("a header in the command (-H) is not a name, a colon and a value")
	}
	return nil
}

func (c *command) url(address string) error {
	switch {
	case address == "":
		return errTarget
	case c.address != "":
		return errors.New("the command has several addresses, or an option with a blank inside that is not in quotes")
	}
	c.address = address
	return nil
}

// urlencode is curl's --data-urlencode: the content is encoded, and the name before "=" is not.
func urlencode(value string) (string, error) {
	name, content, named := strings.Cut(value, "=")
	if !named {
		name, content = "", value
		if strings.Contains(value, "@") {
			return "", errFile
		}
	}
	if name != "" {
		name += "="
	}
	return name + url.QueryEscape(content), nil
}

// request makes the request that the command sends.
func (c *command) request() (Input, error) {
	if c.address == "" {
		return Input{}, errors.New("the command has no address")
	}
	body := strings.Join(c.data, "&")
	if c.get && body != "" {
		c.query, body = append(c.query, body), ""
	}
	address, _, _ := strings.Cut(c.address, "#")
	for _, more := range c.query {
		joint := "?"
		if strings.Contains(address, "?") {
			joint = "&"
		}
		address += joint + more
	}
	if c.method == "" {
		c.method = http.MethodGet
		if body != "" || c.multipart {
			c.method = http.MethodPost
		}
	}
	in, err := request(c.method, address)
	if err != nil {
		return Input{}, err
	}
	r := in.Request
	switch {
	case c.multipart:
		r.Header.Set("Content-Type", "multipart/form-data; boundary=explain")
	case body != "" && c.contentType != "":
		r.Header.Set("Content-Type", c.contentType)
	case body != "":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	setBody(r, body)
	if err := c.setFields(r); err != nil {
		return Input{}, err
	}
	return in, nil
}

// setFields adds the fields of the command. Content-Type replaces curl's own, and Host is not a field for a server.
func (c *command) setFields(r *http.Request) error {
	for _, line := range c.fields {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case strings.ContainsAny(value, "\r\n\x00"):
			return errors.New("a header in the command (-H) has a line end inside")
		case strings.EqualFold(name, "Host"):
			r.Host = value
		case strings.EqualFold(name, "Content-Type"):
			r.Header.Set(name, value)
		default:
			r.Header.Add(name, value)
		}
	}
	return nil
}
