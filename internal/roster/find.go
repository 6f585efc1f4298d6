package roster

import (
	"context"
	"time"

	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/smallfile"
)

// Written is a consumer as the file has it, with its secrets.
type Written struct {
	Username    string
	Tolerate    []string
	Credentials []WrittenCredential
}

// WrittenCredential is a credential as the file has it.
type WrittenCredential struct {
	Key string
	consumer.Written
}

// Find reads a file, all of which must be right, and returns the consumer with this username; nil if there is none. It
// is for tools: a Set has no secrets.
func Find(path, username string) (*Written, error) {
	content, err := (&smallfile.Watch{Path: path, Max: MaxFile}).Start(time.Now())
	if err != nil {
		return nil, err
	}
	set, err := Parse(context.Background(), content.Data, nil, time.Now())
	if err != nil {
		return nil, err
	}
	at, ok := set.usernames[username]
	if !ok {
		return nil, nil
	}
	form, pieces, err := split(content.Data)
	if err != nil {
		return nil, err
	}
	r, err := form.decode(pieces[at : at+1])(0)
	if err != nil {
		return nil, err
	}
	found := &Written{Username: r.username, Tolerate: r.tolerate}
	for _, c := range r.credentials {
		found.Credentials = append(found.Credentials, WrittenCredential{c.key, c.Written})
	}
	return found, nil
}
