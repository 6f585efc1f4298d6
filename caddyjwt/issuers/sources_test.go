package issuers

import (
	"reflect"
	"slices"
	"testing"
)

// A kind of key source without open leaves all JWTs to the authorization server. Only "none" may do that.
func TestEveryKeySourceExceptNoneHasKeys(t *testing.T) {
	for i := range keySources {
		if source := &keySources[i]; source.verifies() == (source.name == "none") {
			t.Errorf("keys %s: verifies is %v", source.name, source.verifies())
		}
	}
}

// A setting of another kind of key source is a mistake, so the check of keys must know every setting.
func TestEverySettingOfKeysIsRefusedWhereItDoesNothing(t *testing.T) {
	known := []string{"Source", "Base64", "CA"}
	for _, field := range keyFields {
		known = append(known, field.field)
	}
	for field := range reflect.TypeFor[Keys]().Fields() {
		if !slices.Contains(known, field.Name) {
			t.Errorf("keyFields lacks %s", field.Name)
		}
	}
}
