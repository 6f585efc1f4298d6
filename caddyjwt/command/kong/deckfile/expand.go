package deckfile

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mostNodes is how many values a file may have once its aliases are written out.
const mostNodes = 2_000_000

var errTooLarge = errors.New("the file is too large, or its aliases make it too large")

// An expander writes out aliases and merged objects, so that a value is the same wherever it is written.
type expander struct {
	nodes int
	open  []*yaml.Node // the anchors that are being written out
}

func (e *expander) expand(n *yaml.Node) (*yaml.Node, error) {
	if e.nodes++; e.nodes > mostNodes {
		return nil, errTooLarge
	}
	if n.Kind == yaml.AliasNode {
		if slices.Contains(e.open, n.Alias) {
			return nil, fmt.Errorf("line %d: the anchor %q has itself inside", n.Line, n.Value)
		}
		e.open = append(e.open, n.Alias)
		defer func() { e.open = e.open[:len(e.open)-1] }()
		return e.expand(n.Alias)
	}
	out := *n
	out.Anchor, out.Content = "", make([]*yaml.Node, 0, len(n.Content))
	var merged []*yaml.Node
	for i, inside := range n.Content {
		expanded, err := e.expand(inside)
		if err != nil {
			return nil, err
		}
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Tag == "!!merge" {
			out.Content = out.Content[:len(out.Content)-1]
			merged = append(merged, expanded)
			continue
		}
		out.Content = append(out.Content, expanded)
	}
	for _, from := range merged {
		if err := merge(&out, from); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

// merge adds the members of an object, or of a list of objects, that another one does not have.
func merge(into, from *yaml.Node) error {
	if from.Kind == yaml.SequenceNode {
		for _, each := range from.Content {
			if err := merge(into, each); err != nil {
				return err
			}
		}
		return nil
	}
	if from.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: only objects can be merged", from.Line)
	}
	for i := 0; i+1 < len(from.Content); i += 2 {
		if !hasMember(into, from.Content[i].Value) {
			into.Content = append(into.Content, from.Content[i], from.Content[i+1])
		}
	}
	return nil
}

func hasMember(n *yaml.Node, name string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return true
		}
	}
	return false
}

// withVariables are the lists in which variables of decK become placeholders of Caddy.
var withVariables = []string{"jwt_secrets", "acls"}

// checkVariables fails for a variable of decK elsewhere: decK puts its value there before it reads the file.
func checkVariables(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "${{") {
		return fmt.Errorf("line %d: a variable of decK can be converted in %s alone. Write its value, or let "+
			"\"deck file render\" do that", n.Line, strings.Join(withVariables, " and "))
	}
	for i, inside := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && slices.Contains(withVariables, n.Content[i-1].Value) &&
			inside.Kind == yaml.SequenceNode {
			continue
		}
		if err := checkVariables(inside); err != nil {
			return err
		}
	}
	return nil
}

var quotedValue = regexp.MustCompile("`[^`]*`|'[^']*'|\"[^\"]*\"")

// withoutValues is an error of the YAML library without values, which may be secrets.
func withoutValues(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(quotedValue.ReplaceAllString(err.Error(), "a value"))
}
