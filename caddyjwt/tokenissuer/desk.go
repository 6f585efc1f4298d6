package tokenissuer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// desk finds the issuers that run, for the admin endpoint. That is made before a configuration, and may outlive it.
type desk struct {
	mu      sync.Mutex
	issuers []*issuer // by the time of their starts
}

// inForce has the issuers of the process. While a configuration takes the place of another one, it has those of both.
// They share stores and keys, unless the new configuration names others.
var inForce desk

func (d *desk) begin(i *issuer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.issuers = append(d.issuers, i)
}

func (d *desk) end(i *issuer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.issuers = slices.DeleteFunc(d.issuers, func(other *issuer) bool { return other == i })
}

// all are those that have started last under their names, by the alphabet.
func (d *desk) all() (all []*issuer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, i := range slices.Backward(d.issuers) {
		if !slices.ContainsFunc(all, func(other *issuer) bool { return other.name == i.name }) {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b *issuer) int { return strings.Compare(a.name, b.name) })
	return all
}

// named are all with a name. There are several if a site is on several servers.
func (d *desk) named(name string) (named []*issuer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, i := range d.issuers {
		if i.name == name {
			named = append(named, i)
		}
	}
	return named
}

var (
	errNoIssuer   = errors.New("there is no such token issuer")
	errWhichOne   = errors.New("there are several token issuers: name one")
	errNoneAtAll  = fmt.Errorf("%w: the configuration has no token_issuer", errNoIssuer)
	errWrongOrder = errors.New("this cannot be meant")
)

// find finds the issuer with a name. The only one needs none.
func (d *desk) find(name string) (*issuer, error) {
	all := d.all()
	var names []string
	for _, i := range all {
		if i.name == name {
			return i, nil
		}
		names = append(names, fmt.Sprintf("%q", i.name))
	}
	switch {
	case len(all) == 0:
		return nil, errNoneAtAll
	case name != "":
		return nil, fmt.Errorf("%w: there are %s", errNoIssuer, strings.Join(names, ", "))
	case len(all) > 1:
		return nil, fmt.Errorf("%w of %s", errWhichOne, strings.Join(names, ", "))
	}
	return all[0], nil
}
