package require

import (
	"fmt"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/scope"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Implication says that one scope includes others.
type Implication struct {
	// The scope that is enough for each of the others. Placeholders are resolved.
	Broad string `json:"broad"`
	// The scopes that it implies. Placeholders are resolved.
	Narrow []string `json:"narrow"`
}

// CompileImplications resolves placeholders. The field of an error is an element of the list.
func CompileImplications(s *words.Settings, list []Implication) (out []scope.Implication, err error) {
	if err := words.NotEmpty("scope_implies", list); err != nil {
		return nil, err
	}
	for i, implication := range list {
		scopes, _, err := s.Texts("scope_implies", append([]string{implication.Broad}, implication.Narrow...))
		if err != nil {
			return nil, &setting.Error{Field: fmt.Sprintf("[%d]", i), Err: err}
		}
		out = append(out, scope.Implication{Broad: scopes[0], Narrow: scopes[1:]})
	}
	return out, nil
}
