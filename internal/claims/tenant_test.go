package claims_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
)

func TestTidIsTheTenantOfTheIssuer(t *testing.T) {
	for text, good := range map[string]bool{
		`{}`: true, `{"tid":"acme"}`: true, `{"Tid":"globex"}`: true,
		`{"tid":"globex"}`: false, `{"tid":"ACME"}`: false, `{"tid":"acme "}`: false, `{"tid":""}`: false,
		`{"tid":null}`: false, `{"tid":["acme"]}`: false, `{"tid":1}`: false, `{"tid":{"acme":true}}`: false,
	} {
		set, err := claims.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		err = claims.CheckTenant(set, "acme")
		if (err == nil) != good || err != nil && !errors.Is(err, claims.ErrIssuer) {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "globex") {
			t.Errorf("%s: the error repeats tid", text)
		}
	}
}
