package claims_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
)

func TestDates(t *testing.T) {
	for _, tt := range []struct {
		number         string
		seconds, nanos int64
	}{
		{"0", 0, 0},
		{"0.0", 0, 0},
		{"0e99", 0, 0},
		{"1", 1, 0},
		{"1700000000", 1700000000, 0},
		{"1682707417.749942", 1682707417, 749942000},
		{"1682707417.749941825866699219", 1682707417, 749941825},
		{"1700000000.000000001", 1700000000, 1},
		{"1700000000.9999999999", 1700000000, 999999999},
		{"1.7e9", 1700000000, 0},
		{"1.7E+9", 1700000000, 0},
		{"17e+8", 1700000000, 0},
		{"17000000000e-1", 1700000000, 0},
		{"1700000000123e-3", 1700000000, 123000000},
		{"0.0000000017e18", 1700000000, 0},
		{"1e-9", 0, 1},
		{"1e-10", 0, 0},
		{"1e-99", 0, 0},
		{"1700000000." + strings.Repeat("0", 53), 1700000000, 0}, // 64 characters
		{"253402300799", 253402300799, 0},
		{"253402300799.999999999", 253402300799, 999999999},
	} {
		want := time.Unix(tt.seconds, tt.nanos)
		s, err := claims.Decode([]byte(`{"exp":` + tt.number + `,"nbf":` + tt.number + `,"iat": ` + tt.number + ` }`))
		if err != nil {
			t.Errorf("%s: %v", tt.number, err)
			continue
		}
		for _, got := range []time.Time{s.ExpiresAt, s.NotBefore, s.IssuedAt} {
			if !got.Equal(want) || got.IsZero() {
				t.Errorf("%s: got %v, want %v", tt.number, got, want)
			}
		}
	}
}
