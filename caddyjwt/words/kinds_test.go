package words_test

import (
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
)

func TestASettingOfAnotherKindIsRefused(t *testing.T) {
	const only = "store file does not take a url, only store redis does: remove it, or change the kind"
	for name, test := range map[string]struct {
		kind        string
		settings    []words.OfKind
		field, want string
	}{
		"nothing": {"file", nil, "", ""},
		"one that is not given": {"file",
			[]words.OfKind{{Field: "URL", Word: "a url", Only: "redis"}, {Field: "Filter", Word: "filter"}}, "", ""},
		"one of this kind": {"redis", []words.OfKind{{Field: "URL", Word: "a url", Given: true, Only: "redis"}}, "", ""},
		"one that fits":    {"ldap", []words.OfKind{{Field: "Filter", Word: "filter", Given: true, Fits: true}}, "", ""},
		"one of another kind": {"file",
			[]words.OfKind{{Field: "URL", Word: "a url", Given: true, Only: "redis"}}, "URL", only},
		"one that does not fit": {"ldap", []words.OfKind{{Field: "Filter", Word: "filter", Given: true}},
			"Filter", "store ldap does not take filter here: remove it"},
		"no kind": {"", []words.OfKind{{Field: "Filter", Word: "filter", Given: true}},
			"Filter", "store  does not take filter here: remove it"},
		"the first of two": {"file", []words.OfKind{{Field: "Path", Word: "a path", Given: true, Fits: true},
			{Field: "URL", Word: "a url", Given: true, Only: "redis"}, {Field: "Key", Word: "a key", Given: true}},
			"URL", only},
	} {
		err := words.CheckKind("store", test.kind, test.settings)
		if got := text(err); got != test.want || setting.Field(err) != test.field {
			t.Errorf("%s: %q in the field %q, want %q in %q", name, got, setting.Field(err), test.want, test.field)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
