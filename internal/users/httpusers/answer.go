package httpusers

import (
	"errors"
	"fmt"

	"github.com/caddyjwt/gateway/internal/strictjson"
	"github.com/caddyjwt/gateway/internal/users"
)

// userOf reads a yes. What it does not say stays empty, but what it says must be in order: whoever reads over a mistake
// could miss a role that takes something away.
func userOf(name string, body []byte) (*users.User, error) {
	u := &users.User{Name: name}
	if body == nil {
		return u, nil
	}
	members, err := strictjson.ParseMembers(body, strictjson.Limits{})
	if err != nil {
		return nil, fmt.Errorf("the answer: %w", err)
	}
	for _, m := range members {
		switch {
		case m.Name.Equal("sub"):
			sub, is := m.Value.Str()
			if !is {
				return nil, errors.New("sub in the answer is not a text")
			}
			u.Name = sub
		case m.Name.Equal("roles"):
			u.Roles, err = texts(m.Value)
		case m.Name.Equal("claims"):
			if m.Value.Kind() != strictjson.Object {
				return nil, errors.New("claims in the answer is not an object")
			}
			u.Claims, err = users.Claims(m.Value.Raw())
		}
		if err != nil {
			return nil, fmt.Errorf("the answer: %w", err)
		}
	}
	if err := users.CheckUser(u); err != nil {
		return nil, fmt.Errorf("the answer: %w", err)
	}
	return u, nil
}

func texts(v strictjson.Value) ([]string, error) {
	if v.Kind() != strictjson.Array {
		return nil, errors.New("roles is not a list")
	}
	var list []string
	for e := range v.Elements() {
		text, is := e.Str()
		if !is {
			return nil, errors.New("a role is not a text")
		}
		list = append(list, text)
	}
	return list, nil
}
