package deckfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is a file as it is written.
type document struct {
	FormatVersion string `yaml:"_format_version"`
	Info          struct {
		Defaults struct {
			Route, Service, Upstream, Target yaml.Node

			Unknown Fields `yaml:",inline"`
		}
		Unknown Fields `yaml:",inline"`
	} `yaml:"_info"`
	PluginConfigs map[string]yaml.Node `yaml:"_plugin_configs"`
	Transform     *bool                `yaml:"_transform"`
	Workspace     string               `yaml:"_workspace"`

	Services   []yaml.Node
	Routes     []yaml.Node
	Plugins    []Plugin
	Consumers  []Consumer
	JWTSecrets []Credential `yaml:"jwt_secrets"`
	ACLs       []ACL
	Upstreams  []yaml.Node
	Targets    []yaml.Node
	Groups     []consumerGroup `yaml:"consumer_groups"`

	Unknown Fields `yaml:",inline"`

	notes []string
}

type consumerGroup struct {
	ID, Name string
	Plugins  []Plugin
	Unknown  Fields `yaml:",inline"`
}

// sectionsWithoutEffect are sections that decide neither where a request goes nor who may send it. The file is
// converted without them, with a note.
var sectionsWithoutEffect = []string{
	"certificates", "ca_certificates", "snis", "vaults", "keys", "key_sets", "licenses", "basicauth_credentials",
	"keyauth_credentials", "keyauth_enc_credentials", "hmacauth_credentials", "oauth2_credentials", "oauth2_tokens",
	"mtls_auth_credentials", "rbac_roles",
}

// Read reads a file. It fails if the file has another version of the format or sections that it does not know.
func Read(text []byte) (*File, error) {
	written, err := parse(text)
	if err != nil {
		return nil, err
	}
	var d document
	if err := written.Decode(&d); err != nil {
		return nil, withoutValues(err)
	}
	if err := d.checkVersion(); err != nil {
		return nil, err
	}
	return d.file()
}

// parse reads the one document of a file, and writes out what it has once and means several times.
func parse(text []byte) (*yaml.Node, error) {
	var root yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is empty")
		}
		return nil, withoutValues(err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file has more than one YAML document: convert them one by one")
	}
	written, err := new(expander).expand(&root)
	if err != nil {
		return nil, err
	}
	return written, checkVariables(written)
}

func (d *document) checkVersion() error {
	if strings.HasPrefix(d.FormatVersion, "3.") {
		return nil
	}
	if d.FormatVersion == "" {
		return errors.New(`_format_version is missing: is this a file of decK? If it is for Kong 3, write ` +
			`_format_version: "3.0"`)
	}
	return fmt.Errorf("_format_version is %q, and this converter reads 3.x, in which regular expressions begin with ~: "+
		"first run \"deck convert --from kong-gateway-2.x --to kong-gateway-3.x\"", d.FormatVersion)
}

func (d *document) file() (*File, error) {
	f := &File{Plugins: d.Plugins, Consumers: d.Consumers}
	for _, name := range d.Unknown.withoutMeaningless().Names() {
		if !slices.Contains(sectionsWithoutEffect, name) {
			return nil, fmt.Errorf("line %d: the section %q is unknown to this converter, and may decide who may send a "+
				"request: convert it by hand, and remove it from the file", d.Unknown[name].Line, name)
		}
		f.Notes = append(f.Notes, fmt.Sprintf("section %s: not converted", name))
	}
	for _, name := range d.Info.Defaults.Unknown.Names() {
		return nil, fmt.Errorf("line %d: _info.defaults.%s is unknown to this converter: write the defaults where they "+
			"belong", d.Info.Defaults.Unknown[name].Line, name)
	}
	for _, name := range d.Info.Unknown.Names() {
		if name != "select_tags" {
			f.Notes = append(f.Notes, fmt.Sprintf("_info.%s: not converted", name))
		}
	}
	for i := range f.Plugins {
		f.Plugins[i].Route, f.Plugins[i].Service, f.Plugins[i].Consumer = -1, -1, -1
	}
	steps := []func(*File) error{
		d.readServices, d.readRoutes, d.readUpstreams, d.readTargets, d.readCredentials, d.readGroups, d.sharePlugins,
		resolve,
	}
	for _, step := range steps {
		if err := step(f); err != nil {
			return nil, err
		}
	}
	f.Notes = append(f.Notes, d.notes...)
	f.clean()
	return f, nil
}

// readServices reads the services, and takes out of them what is inside.
func (d *document) readServices(f *File) error {
	for i := range d.Services {
		s := Service{Enabled: true, Protocol: "http", Line: d.Services[i].Line}
		if err := decodeOver(&s, d.Info.Defaults.Service, d.Services[i]); err != nil {
			return err
		}
		for j := range s.Routes {
			r, err := d.readRoute(s.Routes[j])
			if err != nil {
				return err
			}
			if r.Ref != "" {
				return fmt.Errorf("line %d: a route inside of a service names a service", r.Line)
			}
			r.Service = i
			f.addRoute(r)
		}
		for _, p := range s.Plugins {
			p.Service, p.Route, p.Consumer = i, -1, -1
			f.Plugins = append(f.Plugins, p)
		}
		s.Routes, s.Plugins = nil, nil
		f.Services = append(f.Services, s)
	}
	return nil
}

func (d *document) readRoutes(f *File) error {
	for i := range d.Routes {
		r, err := d.readRoute(d.Routes[i])
		if err != nil {
			return err
		}
		f.addRoute(r)
	}
	return nil
}

func (d *document) readRoute(n yaml.Node) (Route, error) {
	r := Route{
		Protocols: []string{"http", "https"}, StripPath: true, RedirectCode: 426,
		Line: n.Line, Service: -1,
	}
	return r, decodeOver(&r, d.Info.Defaults.Route, n)
}

// addRoute adds a route, and takes out of it what is inside.
func (f *File) addRoute(r Route) {
	for _, p := range r.Plugins {
		p.Route, p.Service, p.Consumer = len(f.Routes), -1, -1
		f.Plugins = append(f.Plugins, p)
	}
	r.Plugins = nil
	f.Routes = append(f.Routes, r)
}

func (d *document) readUpstreams(f *File) error {
	for i := range d.Upstreams {
		u := Upstream{Algorithm: "round-robin"}
		if err := decodeOver(&u, d.Info.Defaults.Upstream, d.Upstreams[i]); err != nil {
			return err
		}
		u.Line = d.Upstreams[i].Line
		for _, written := range u.Written {
			target, err := d.readTarget(written)
			if err != nil {
				return err
			}
			u.Targets = append(u.Targets, target)
		}
		u.Written = nil
		f.Upstreams = append(f.Upstreams, u)
	}
	return nil
}

func (d *document) readTargets(f *File) error {
	for i := range d.Targets {
		target, err := d.readTarget(d.Targets[i])
		if err != nil {
			return err
		}
		at := slices.IndexFunc(f.Upstreams, func(u Upstream) bool { return u.Name == string(target.Upstream) })
		if at < 0 {
			return fmt.Errorf("line %d: no upstream has the name %q", d.Targets[i].Line, target.Upstream)
		}
		f.Upstreams[at].Targets = append(f.Upstreams[at].Targets, target)
	}
	return nil
}

func (d *document) readTarget(n yaml.Node) (Target, error) {
	target := Target{Weight: 100}
	err := decodeOver(&target, d.Info.Defaults.Target, n)
	for _, name := range target.Unknown.withoutMeaningless().Names() {
		d.notes = append(d.notes, fmt.Sprintf("line %d: target %q: %s: not converted", n.Line, target.Target, name))
	}
	return target, err
}

// decodeOver reads an entity over the defaults that the file has for its kind.
func decodeOver(entity any, defaults, n yaml.Node) error {
	if defaults.Kind != 0 {
		if err := defaults.Decode(entity); err != nil {
			return fmt.Errorf("_info.defaults: %w", withoutValues(err))
		}
	}
	return withoutValues(n.Decode(entity))
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}
