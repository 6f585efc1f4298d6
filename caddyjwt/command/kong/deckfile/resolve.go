package deckfile

import "fmt"

// resolve finds what routes and plugins name.
func resolve(f *File) error {
	for i := range f.Routes {
		r := &f.Routes[i]
		if r.Ref == "" {
			continue
		}
		at, err := f.find("service", r.Ref, r.Line, len(f.Services), f.namesOfService)
		if err != nil {
			return err
		}
		r.Service = at
	}
	for i := range f.Plugins {
		if err := f.resolvePlugin(&f.Plugins[i]); err != nil {
			return err
		}
	}
	return nil
}

// resolvePlugin finds for whom a plugin is. One inside of an entity is for that one, too.
func (f *File) resolvePlugin(p *Plugin) (err error) {
	for _, ref := range []struct {
		kind  string
		name  Ref
		into  *int
		n     int
		names func(int) (name, id string)
	}{
		{"route", p.RouteRef, &p.Route, len(f.Routes), f.namesOfRoute},
		{"service", p.ServiceRef, &p.Service, len(f.Services), f.namesOfService},
		{"consumer", p.ConsumerRef, &p.Consumer, len(f.Consumers), f.namesOfConsumer},
	} {
		if ref.name == "" {
			continue
		}
		if *ref.into >= 0 {
			return fmt.Errorf("line %d: plugin %q is inside of a %s and names one", p.Line, p.Name, ref.kind)
		}
		if *ref.into, err = f.find(ref.kind, ref.name, p.Line, ref.n, ref.names); err != nil {
			return fmt.Errorf("plugin %q: %w", p.Name, err)
		}
	}
	return nil
}

func (f *File) namesOfRoute(i int) (name, id string)   { return f.Routes[i].Name, f.Routes[i].ID }
func (f *File) namesOfService(i int) (name, id string) { return f.Services[i].Name, f.Services[i].ID }

func (f *File) namesOfConsumer(i int) (name, id string) {
	return f.Consumers[i].Username, f.Consumers[i].ID
}

// FindConsumer is the place of the consumer with a username or an id; -1 if there is none, or if there are two.
func (f *File) FindConsumer(name string) int {
	at, err := f.consumer(Ref(name), 0)
	if err != nil {
		return -1
	}
	return at
}

func (f *File) consumer(ref Ref, line int) (int, error) {
	return f.find("consumer", ref, line, len(f.Consumers), f.namesOfConsumer)
}

// find is the place of an entity with a name or an id.
func (f *File) find(kind string, ref Ref, line, n int, names func(int) (name, id string)) (int, error) {
	byName, byID := -1, -1
	for i := range n {
		name, id := names(i)
		if name != "" && name == string(ref) {
			if byName >= 0 {
				return -1, fmt.Errorf("line %d: two of kind %s have the name %q", line, kind, ref)
			}
			byName = i
		}
		if id != "" && id == string(ref) {
			if byID >= 0 {
				return -1, fmt.Errorf("line %d: two of kind %s have the id %q", line, kind, ref)
			}
			byID = i
		}
	}
	if byName >= 0 && byID >= 0 && byName != byID { // Kong's parts do not agree which of them comes first
		return -1, fmt.Errorf("line %d: %q is the name of one %s and the id of another", line, ref, kind)
	}
	if byName = max(byName, byID); byName < 0 {
		return -1, fmt.Errorf("line %d: no %s has the name or id %q", line, kind, ref)
	}
	return byName, nil
}
