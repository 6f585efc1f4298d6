package caddyjwt_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt"
)

// A kind of key source without open leaves all JWTs to the authorization server. Only "none" may do that.
func TestEveryKeySourceExceptNoneHasKeys(t *testing.T) {
	if got := caddyjwt.WithoutKeys(); !slices.Equal(got, []string{"none"}) {
		t.Errorf("without keys are %q", got)
	}
}

// A setting of another kind of key source is a mistake, so the check of keys must know every setting.
func TestEverySettingOfKeysIsRefusedWhereItDoesNothing(t *testing.T) {
	known := append(caddyjwt.KeyFields(), "Source", "Base64")
	for field := range reflect.TypeFor[caddyjwt.Keys]().Fields() {
		if !slices.Contains(known, field.Name) {
			t.Errorf("keyFields lacks %s", field.Name)
		}
	}
}
