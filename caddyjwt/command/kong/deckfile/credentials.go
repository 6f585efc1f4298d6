package deckfile

import (
	"cmp"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// readCredentials gives credentials and groups that are written at the top to their consumers.
func (d *document) readCredentials(f *File) error {
	for _, c := range d.JWTSecrets {
		at, err := f.consumer(c.Consumer, c.Line)
		if err != nil {
			return err
		}
		f.Consumers[at].Credentials = append(f.Consumers[at].Credentials, c)
	}
	for _, a := range d.ACLs {
		at, err := f.consumer(a.Consumer, 0)
		if err != nil {
			return err
		}
		f.Consumers[at].ACLs = append(f.Consumers[at].ACLs, a)
	}
	for i, c := range f.Consumers {
		for _, a := range c.ACLs {
			for _, name := range a.Unknown.withoutMeaningless().Names() {
				d.notes = append(d.notes, fmt.Sprintf("line %d: consumer %q: acls: %s: not converted", c.Line, c.Username, name))
			}
		}
		for _, p := range c.Plugins {
			p.Consumer, p.Route, p.Service = i, -1, -1
			f.Plugins = append(f.Plugins, p)
		}
		f.Consumers[i].Plugins = nil
	}
	return nil
}

// readGroups takes the plugins out of groups of consumers.
func (d *document) readGroups(f *File) error {
	for _, g := range d.Groups {
		for _, name := range g.Unknown.withoutMeaningless().Names() {
			d.notes = append(d.notes, fmt.Sprintf("consumer group %q: %s: not converted", g.Name, name))
		}
		for _, p := range g.Plugins {
			p.ConsumerGroup, p.Consumer, p.Route, p.Service = Ref(cmp.Or(g.Name, g.ID, "(no name)")), -1, -1, -1
			f.Plugins = append(f.Plugins, p)
		}
	}
	return nil
}

// sharePlugins gives plugins the configs that they share.
func (d *document) sharePlugins(f *File) error {
	for i := range f.Plugins {
		p := &f.Plugins[i]
		if p.Shared == "" {
			continue
		}
		shared, ok := d.PluginConfigs[p.Shared]
		if !ok {
			return fmt.Errorf("line %d: _plugin_configs has no %q", p.Line, p.Shared)
		}
		var err error
		if p.Config, err = overlaid(shared, p.Config); err != nil {
			return err
		}
	}
	return nil
}

// overlaid is an object with the members of another one, which win.
func overlaid(under, over yaml.Node) (out yaml.Node, err error) {
	members := map[string]yaml.Node{}
	for _, from := range []yaml.Node{under, over} {
		if from.Kind == 0 {
			continue
		}
		if err := from.Decode(&members); err != nil {
			return out, err
		}
	}
	err = out.Encode(members)
	return out, err
}

// clean removes fields that mean nothing from all entities.
func (f *File) clean() {
	for i := range f.Services {
		f.Services[i].Unknown.withoutMeaningless()
	}
	for i := range f.Routes {
		f.Routes[i].Unknown.withoutMeaningless()
	}
	for i := range f.Plugins {
		f.Plugins[i].Unknown.withoutMeaningless()
	}
	for i := range f.Upstreams {
		f.Upstreams[i].Unknown.withoutMeaningless()
	}
	for i := range f.Consumers {
		f.Consumers[i].Unknown.withoutMeaningless()
		for j := range f.Consumers[i].Credentials {
			f.Consumers[i].Credentials[j].Unknown.withoutMeaningless()
		}
	}
}

// UnmarshalYAML reads a plugin, which is enabled unless the file says otherwise.
func (p *Plugin) UnmarshalYAML(n *yaml.Node) error {
	type plain Plugin
	p.Enabled, p.Line = true, n.Line
	return n.Decode((*plain)(p))
}

// UnmarshalYAML reads a credential. Kong's default of the algorithm is HS256.
func (c *Credential) UnmarshalYAML(n *yaml.Node) error {
	type plain Credential
	c.Algorithm, c.Line = "HS256", n.Line
	return n.Decode((*plain)(c))
}

// UnmarshalYAML reads a consumer, and where it is.
func (c *Consumer) UnmarshalYAML(n *yaml.Node) error {
	type plain Consumer
	c.Line = n.Line
	return n.Decode((*plain)(c))
}
