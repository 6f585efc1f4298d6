package words

import "github.com/caddyjwt/gateway/internal/setting"

// OfKind is a setting of a block that has several kinds, such as a store in a file or at a server. Not every kind takes
// it.
type OfKind struct {
	// Field is its field in the struct, and Word how errors name it, such as "a path".
	Field, Word string
	// Given says that the setting is there.
	Given bool
	// Fits says that the present kind takes it, beside the other settings. It need not be set with Only.
	Fits bool
	// Only is the one kind that takes the setting; empty if it depends on more.
	Only string
}

// CheckKind returns an error for the first setting that is given and does not fit the kind of a block. The error has
// its field. In JSON such a setting would have no effect, although whoever wrote it relies on it.
func CheckKind(block, kind string, settings []OfKind) error {
	for _, s := range settings {
		switch {
		case !s.Given || s.Fits || s.Only != "" && s.Only == kind:
		case s.Only != "":
			return setting.Errorf(s.Field, "%s %s does not take %s, only %s %s does: remove it, or change the kind",
				block, kind, s.Word, block, s.Only)
		default:
			return setting.Errorf(s.Field, "%s %s does not take %s here: remove it", block, kind, s.Word)
		}
	}
	return nil
}
