package registration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
)

// anyAudience stands for the default_audience of an issuer, which a file does not have.
const anyAudience = "default_audience"

// Check checks a file as a token issuer does, as far as that is possible without its configuration.
func (f *File) Check() error {
	_, err := f.set()
	return err
}

func (f *File) set() (*clients.Set, error) {
	plan := &Plan{DefaultAudience: anyAudience}
	list, err := f.compile(plan)
	if err != nil {
		return nil, err
	}
	return plan.set(list)
}

// Find finds a client; nil for none.
func (f *File) Find(id string) *Client {
	at := slices.IndexFunc(f.Clients, func(c Client) bool { return c.ID == id })
	if at < 0 {
		return nil
	}
	return &f.Clients[at]
}

// Remove removes a client, if there is one with the id.
func (f *File) Remove(id string) {
	f.Clients = slices.DeleteFunc(f.Clients, func(c Client) bool { return c.ID == id })
}

// written is a client as a file has it. A lifetime is a text there, as people write it.
type written struct {
	Client
	AccessLifetime  string            `json:"access_lifetime,omitempty"`
	AccessLifetimes map[string]string `json:"access_lifetimes,omitempty"`
}

// Content is what a file with these clients has. It was read and checked as a token issuer does that.
func (f *File) Content() ([]byte, error) {
	all := struct {
		Clients []written `json:"clients"`
	}{make([]written, len(f.Clients))}
	for i := range f.Clients {
		all.Clients[i].Client = f.Clients[i]
		if lifetime := time.Duration(f.Clients[i].AccessLifetime); lifetime != 0 {
			all.Clients[i].AccessLifetime = lifetime.String()
		}
		if len(f.Clients[i].AccessLifetimes) > 0 {
			all.Clients[i].AccessLifetimes = make(map[string]string)
		}
		for audience, lifetime := range f.Clients[i].AccessLifetimes {
			all.Clients[i].AccessLifetimes[audience] = time.Duration(lifetime).String()
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return nil, err
	}
	if text.Len() > MaxFile {
		return nil, fmt.Errorf("with this change, it would be longer than the %d bytes that a token issuer takes", MaxFile)
	}
	again, err := ReadFile(text.Bytes())
	if err != nil {
		return nil, err
	}
	return text.Bytes(), again.Check()
}

// Hash is a hash of any client of the file; empty for none. All hashes are made as it is.
func (f *File) Hash() string {
	for i := range f.Clients {
		if hashes := f.Clients[i].SecretHashes; len(hashes) > 0 {
			return hashes[0]
		}
	}
	return ""
}
