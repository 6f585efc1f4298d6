package setting_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/caddyjwt/gateway/internal/setting"
)

func TestFieldBeginsWithTheOutermostConfiguration(t *testing.T) {
	inner := setting.Errorf("Leeway", "%w: too long", io.ErrUnexpectedEOF)
	err := setting.In("Issuers", setting.In("[1]", fmt.Errorf("issuer %q: %w", "https://a.example", inner)))
	if got, want := setting.Field(err), "Issuers[1].Leeway"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := err.Error(), `issuer "https://a.example": unexpected EOF: too long`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
}

func TestErrorWithoutAFieldIsAboutTheOuterField(t *testing.T) {
	if got, want := setting.Field(setting.In("TLS", io.EOF)), "TLS"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if setting.In("TLS", nil) != nil {
		t.Error("nil became an error")
	}
	if got := setting.Field(io.EOF); got != "" {
		t.Errorf("an error without a field has %q", got)
	}
}

func TestWrapSaysWhatAnErrorIsAboutAndKeepsItsField(t *testing.T) {
	if err := setting.Wrap("keys file", nil); err != nil {
		t.Errorf("nil became %v", err)
	}
	err := setting.Wrap("keys file", setting.Errorf(setting.Element("Issuers", 1)+".Keys", "it is empty"))
	if err.Error() != "keys file: it is empty" || setting.Field(err) != "Issuers[1].Keys" {
		t.Errorf("the error about %q says %q", setting.Field(err), err)
	}
}
