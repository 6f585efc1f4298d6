package caddyjwt_test

import (
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
