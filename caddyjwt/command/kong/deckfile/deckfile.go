// Package deckfile reads the files of decK and of Kong without a database (_format_version 3.0).
//
// It keeps what it does not know: each entity has its unknown fields in Unknown, so that nothing is lost silently.
package deckfile

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A File is all that a file configures, with each entity at the top, whether it was written there or inside of another.
type File struct {
	Services  []Service
	Routes    []Route
	Plugins   []Plugin
	Consumers []Consumer
	Upstreams []Upstream
	// Notes are about what the file has and nothing here can use, such as certificates.
	Notes []string
}

// Fields are fields that nobody here knows.
type Fields map[string]yaml.Node

// Names are those of all fields that have a value.
func (f Fields) Names() []string {
	var names []string
	for name, value := range f {
		if !IsEmpty(value) {
			names = append(names, name)
		}
	}
	return sorted(names)
}

// IsEmpty reports whether a value is null, or a list or an object without members.
func IsEmpty(n yaml.Node) bool {
	return n.Tag == "!!null" || n.Kind != yaml.ScalarNode && len(n.Content) == 0
}

// A Ref names another entity by its name or its id; it is empty if there is none.
type Ref string

// UnmarshalYAML reads a text, or an object with a name or an id.
func (r *Ref) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode((*string)(r))
	}
	var object struct{ ID, Name, Username string }
	if err := n.Decode(&object); err != nil {
		return err
	}
	for _, name := range []string{object.Name, object.Username, object.ID} {
		if name != "" {
			*r = Ref(name)
			return nil
		}
	}
	return fmt.Errorf("line %d: this reference has neither a name nor an id", n.Line)
}

// A Service is what routes send requests to.
type Service struct {
	ID, Name string
	Enabled  bool
	Protocol string
	Host     string
	Port     int
	Path     string
	URL      string      // instead of the four before
	Routes   []yaml.Node // read into those of the File
	Plugins  []Plugin    // likewise
	Unknown  Fields      `yaml:",inline"`
	Line     int         `yaml:"-"`
}

// A Route says which requests go to its service.
type Route struct {
	ID, Name     string
	Ref          Ref `yaml:"service"`
	Service      int `yaml:"-"` // its place in File.Services; -1 for none
	Protocols    []string
	Methods      []string
	Hosts        []string
	Paths        []string
	Headers      map[string][]string
	Priority     int      `yaml:"regex_priority"`
	StripPath    bool     `yaml:"strip_path"`
	PreserveHost bool     `yaml:"preserve_host"`
	RedirectCode int      `yaml:"https_redirect_status_code"`
	Plugins      []Plugin // read into those of the File
	Unknown      Fields   `yaml:",inline"`
	Line         int      `yaml:"-"`
}

// A Plugin is set up for a route, a service, a consumer or a group of consumers, for several of these together, or for
// all.
type Plugin struct {
	Name          string
	Enabled       bool
	Config        yaml.Node
	Shared        string   `yaml:"_config"` // the name of a config that several plugins have
	Protocols     []string // all, if there is none
	RouteRef      Ref      `yaml:"route"`
	ServiceRef    Ref      `yaml:"service"`
	ConsumerRef   Ref      `yaml:"consumer"`
	ConsumerGroup Ref      `yaml:"consumer_group"`
	Unknown       Fields   `yaml:",inline"`
	Line          int      `yaml:"-"`

	// The places in the File of those for whom it is; -1 for none.
	Route, Service, Consumer int `yaml:"-"`
}

// A Consumer is somebody who sends requests.
type Consumer struct {
	ID, Username string
	CustomID     string       `yaml:"custom_id"`
	Credentials  []Credential `yaml:"jwt_secrets"`
	ACLs         []ACL
	Groups       []yaml.Node // consumer groups
	Plugins      []Plugin
	Unknown      Fields `yaml:",inline"`
	Line         int    `yaml:"-"`
}

// A Credential is a key with which a consumer's tokens are signed.
type Credential struct {
	Consumer  Ref // for one at the top of the file
	Key       string
	Algorithm string
	Secret    string
	PublicKey string `yaml:"rsa_public_key"`
	Unknown   Fields `yaml:",inline"`
	Line      int    `yaml:"-"`
}

// An ACL is a group that a consumer is in.
type ACL struct {
	Consumer Ref
	Group    string
	Unknown  Fields `yaml:",inline"`
}

// An Upstream is a name for several servers.
type Upstream struct {
	Name       string
	Algorithm  string
	HostHeader string      `yaml:"host_header"`
	Written    []yaml.Node `yaml:"targets"` // the targets before they are read
	Targets    []Target    `yaml:"-"`
	Unknown    Fields      `yaml:",inline"`
	Line       int         `yaml:"-"`
}

// A Target is one of the servers of an upstream, with its share.
type Target struct {
	Upstream Ref
	Target   string
	Weight   int
	Unknown  Fields `yaml:",inline"`
}

// meaningless are the fields of all entities that have no effect on requests.
var meaningless = []string{"tags", "created_at", "updated_at", "id", "instance_name", "ws_id", "cache_key"}

func (f Fields) withoutMeaningless() Fields {
	for _, name := range meaningless {
		delete(f, name)
	}
	for name, value := range f {
		if strings.HasPrefix(name, "x-") && value.Kind != 0 { // anchors of YAML are kept in such fields
			delete(f, name)
		}
	}
	return f
}
