package caddyjwt_test

import (
	"slices"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt"
)

// A kind of key source that cannot be opened would leave JWTs to the authorization server, so it has to be meant.
func TestEveryKeySourceButNoneHasKeys(t *testing.T) {
	if got := caddyjwt.WithoutKeys(); !slices.Equal(got, []string{"none"}) {
		t.Errorf("without keys are %q", got)
	}
}
