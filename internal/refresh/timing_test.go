package refresh_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/refresh"
	"github.com/caddyjwt/gateway/internal/setting"
)

func TestTimingIsChecked(t *testing.T) {
	for want, timing := range map[string]refresh.Timing{
		"MinRefresh": {MinRefresh: 25 * time.Hour}, // the default maximum is 24h
		"MinBackoff": {MinBackoff: time.Hour},
	} {
		if got := setting.Field(timing.Defaults()); got != want {
			t.Errorf("%+v: a mistake in %q, want %q", timing, got, want)
		}
	}
	for field := range reflect.TypeFor[refresh.Timing]().Fields() {
		var timing refresh.Timing
		reflect.ValueOf(&timing).Elem().FieldByName(field.Name).SetInt(-1)
		if got := setting.Field(timing.Defaults()); got != field.Name {
			t.Errorf("%s is negative: a mistake in %q", field.Name, got)
		}
		timing = refresh.Timing{}
		if err := timing.Defaults(); err != nil || reflect.ValueOf(timing).FieldByName(field.Name).Int() <= 0 {
			t.Errorf("%s has no default: %+v, error %v", field.Name, timing, err)
		}
	}
}
