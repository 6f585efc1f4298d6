package operator

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/adminroute"
	"github.com/caddyjwt/gateway/caddyjwt/inforce"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/roster"
)

// Consumers is the answer about consumers.
type Consumers struct {
	// Lists are those of the gates, and of the files that they use.
	Lists []ConsumerList `json:"lists"`
}

// ConsumerList is the consumers of one gate, or of one file.
type ConsumerList struct {
	// Gates are the gates that know them, by their labels and servers.
	Gates []GateLabel `json:"gates"`
	// File is the path of the file; absent for consumers of the configuration.
	File string `json:"file,omitempty"`
	// LastError says why the file cannot be used as it is now.
	LastError string `json:"last_error,omitempty"`
	// Total is how many there are, and Consumers are the first of them.
	Total     int        `json:"total"`
	Consumers []Consumer `json:"consumers"`
}

// GateLabel names a gate.
type GateLabel struct {
	Server string `json:"server"`
	Gate   string `json:"gate"`
}

// Consumer is a consumer without secrets.
type Consumer struct {
	Username    string       `json:"username"`
	ID          string       `json:"id,omitempty"`
	CustomID    string       `json:"custom_id,omitempty"`
	Groups      []string     `json:"groups,omitempty"`
	Credentials []Credential `json:"credentials,omitempty"`
}

// Credential is a credential without its key.
type Credential struct {
	// Key is the value of the key claim that selects it, such as that of "iss". It is no secret.
	Key       string `json:"key"`
	Algorithm string `json:"algorithm"`
	// Expires is from when its tokens are refused; absent for never.
	Expires time.Time `json:"expires,omitzero"`
}

// usualConsumers is how many consumers an answer has, and mostConsumers how many it can have.
const (
	usualConsumers = 1000
	mostConsumers  = 100_000
)

func (a *adminAPI) consumers(r *http.Request) (any, error) {
	given, err := adminroute.Parameters(r.URL.RawQuery, "username", "limit")
	if err != nil {
		return nil, wrong(err)
	}
	l := lister{left: usualConsumers, username: given["username"], files: make(map[*roster.File]int)}
	if text, there := given["limit"]; there {
		if l.left, err = strconv.Atoi(text); err != nil || l.left < 1 || l.left > mostConsumers {
			return nil, wrong(fmt.Errorf("limit is not a number from 1 to %d", mostConsumers))
		}
	}
	l.answer.Lists = []ConsumerList{}
	for _, known := range process.Shared().Gates.Gates() {
		l.gate(known)
	}
	return l.answer, nil
}

// lister makes the answer.
type lister struct {
	answer   Consumers
	left     int    // how many more consumers the answer may have
	username string // of those that are listed; empty for all
	files    map[*roster.File]int
}

func (l *lister) gate(known *inforce.Known) {
	label := GateLabel{known.Way.Server, known.Label()}
	if len(known.Consumers) > 0 {
		list := ConsumerList{Gates: []GateLabel{label}, Total: len(known.Consumers)}
		for i := range known.Consumers {
			l.add(&list, &known.Consumers[i])
		}
		l.answer.Lists = append(l.answer.Lists, list)
	}
	if known.File == nil {
		return
	}
	at, listed := l.files[known.File]
	if !listed {
		at = len(l.answer.Lists)
		l.files[known.File] = at
		l.answer.Lists = append(l.answer.Lists, l.file(known.File))
	}
	l.answer.Lists[at].Gates = append(l.answer.Lists[at].Gates, label)
}

func (l *lister) file(file *roster.File) ConsumerList {
	set := file.Set()
	list := ConsumerList{File: file.Path(), Total: len(set.Consumers())}
	if err := file.Err(); err != nil {
		list.LastError = causes.Line(err)
	}
	for _, c := range set.Consumers() {
		l.add(&list, c)
	}
	return list
}

// add adds a consumer to a list, if it is asked for and there is room.
func (l *lister) add(list *ConsumerList, c *consumer.Consumer) {
	if list.Consumers == nil {
		list.Consumers = []Consumer{}
	}
	if l.left == 0 || l.username != "" && c.Username != l.username {
		return
	}
	l.left--
	shown := Consumer{Username: c.Username, ID: c.ID, CustomID: c.CustomID, Groups: c.Groups}
	for i := range c.Credentials {
		of := &c.Credentials[i]
		shown.Credentials = append(shown.Credentials, Credential{of.Key, of.Algorithm.String(), of.End().UTC()})
	}
	list.Consumers = append(list.Consumers, shown)
}
