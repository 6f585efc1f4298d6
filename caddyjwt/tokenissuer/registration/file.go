package registration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/smallfile"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// MaxFile bounds a file with clients, in bytes.
const MaxFile = 16 << 20

// fileLimits bound what is in it.
var fileLimits = strictjson.Limits{Depth: 8, Members: 4 << 20}

// File is what a file with clients has.
type File struct {
	// Clients are as in the configuration, but nothing in them is a placeholder or the path of a file, and none has jwks.
	// So public_key is the text of PEM, of a JWK or of a JWK set.
	Clients []Client `json:"clients"`
}

// ReadFile reads the content of a file with clients: JSON in which no name is there twice, and none is unknown. Errors
// have no value of it.
func ReadFile(data []byte) (*File, error) {
	whole, err := strictjson.ParseObject(bytes.TrimSpace(data), fileLimits)
	if err != nil {
		return nil, fmt.Errorf("it is not one JSON object whose members have different names: %w", err)
	}
	if hasOtherNames(whole) {
		return nil, errors.New("all members have names in small letters")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	file := new(File)
	if err := decoder.Decode(file); err != nil {
		if wrong, is := errors.AsType[*json.UnmarshalTypeError](err); is {
			line := 1 + bytes.Count(data[:min(int(wrong.Offset), len(data))], []byte("\n"))
			return nil, fmt.Errorf("line %d: the member %s has a value of the wrong type", line, wrong.Field)
		}
		if text, unknown := strings.CutPrefix(err.Error(), "json: unknown field"); unknown {
			return nil, errors.New("unknown field" + text)
		}
		return nil, errors.New("a lifetime is no duration, such as \"5m\"")
	}
	for i := range file.Clients {
		compact(file.Clients[i].Claims)
		compact(file.Clients[i].Header)
	}
	if file.Clients == nil { // an empty list says that there are none
		return nil, errors.New("there is no member \"clients\" with a list")
	}
	return file, nil
}

// compact takes away what makes JSON easy to read.
func compact(members map[string]json.RawMessage) {
	for name, value := range members {
		var short bytes.Buffer
		if json.Compact(&short, value) == nil {
			members[name] = short.Bytes()
		}
	}
}

// ownNames are members whose members have names that their writer chooses.
var ownNames = []string{"claims", "header", "access_lifetimes"}

// hasOtherNames reports whether a member, however deep, has a name with other characters than those of the names that
// there are. Package json takes "ID" for "id", and the last one of the two would count.
func hasOtherNames(value strictjson.Value) bool {
	for name, of := range value.Members() {
		text, _ := name.Str()
		other := strings.ContainsFunc(text, func(c rune) bool {
			return c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9')
		})
		if other || !slices.Contains(ownNames, text) && hasOtherNames(of) {
			return true
		}
	}
	for of := range value.Elements() {
		if hasOtherNames(of) {
			return true
		}
	}
	return false
}

// compile checks the clients of a file.
func (f *File) compile(p *Plan) (list []clients.Client, err error) {
	for i := range f.Clients {
		c := &f.Clients[i]
		if c.JWKS != "" {
			return nil, fmt.Errorf("client %q: a client of a file has no jwks, because nobody would fetch it: put its key into "+
				"public_key, or the client into the configuration", c.ID)
		}
		if err := c.checkFileWritten(); err != nil {
			return nil, err
		}
		client, err := c.client(p)
		if err != nil {
			return nil, err
		}
		list = append(list, *client)
	}
	return list, nil
}

// checkFileWritten is checkWritten for a client of a file, in which nothing is a placeholder.
func (c *Client) checkFileWritten() error {
	if err := c.checkWritten(); err != nil {
		return err
	}
	if err := literal("Audience", "audience", c.Audience...); err != nil {
		return err
	}
	if err := literal("Introspect", "introspect", c.Introspect...); err != nil {
		return err
	}
	for audience := range c.AccessLifetimes {
		if err := literal("AccessLifetimes", "access_lifetimes", audience); err != nil {
			return err
		}
	}
	if err := c.checkMembersWritten(true); err != nil {
		return err
	}
	return c.checkExchangesWritten(true)
}

// with is the set of the clients of the configuration and of a file.
func (p *Plan) with(data []byte, fixed []clients.Client) (*clients.Set, error) {
	file, err := ReadFile(data)
	if err != nil {
		return nil, err
	}
	list, err := file.compile(p)
	if err != nil {
		return nil, err
	}
	return p.set(append(list, fixed...)) // a client that is there twice is one of the file
}

// tryFile checks the file when the configuration loads.
func (p *Plan) tryFile(s *words.Settings) error {
	if p.file == "" {
		return nil
	}
	content, err := smallfile.ReadUpTo(p.file, MaxFile)
	if err == nil {
		_, err = p.with(content, p.fixed)
	}
	if err != nil {
		return setting.In("ClientsFile", s.Unread("clients file", p.file, err))
	}
	return nil
}
