package consumer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
)

func key(t *testing.T) *jose.Key {
	t.Helper()
	k, err := jose.NewSecretKey("", []byte("mWbKkZ1fB0Vq3sJxT7dYpR5hN2cLgE8u"), jose.MakeAlgorithms(jose.HS256))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func good(t *testing.T) *consumer.Consumer {
	t.Helper()
	return &consumer.Consumer{
		Username: "zoe", ID: "7", CustomID: "c 7", Groups: []string{"staff", "all readers"},
		Credentials: []consumer.Credential{{Key: "zoe-key", Algorithm: jose.HS256, Verifier: key(t)}},
	}
}

func TestCheckNamesTheField(t *testing.T) {
	if err := good(t).Check("iss", 0); err != nil {
		t.Fatalf("a good consumer is refused: %v", err)
	}
	for name, c := range map[string]struct {
		change      func(*consumer.Consumer)
		field, want string
	}{
		"no username":    {func(c *consumer.Consumer) { c.Username = "" }, "Username", "no username"},
		"a blank":        {func(c *consumer.Consumer) { c.Username = " \t" }, "Username", "no username"},
		"a line end":     {func(c *consumer.Consumer) { c.Username = "a\r\nX: y" }, "Username", "cannot be sent"},
		"NUL in the id":  {func(c *consumer.Consumer) { c.ID = "a\x00" }, "ID", "cannot be sent"},
		"in custom_id":   {func(c *consumer.Consumer) { c.CustomID = "\n" }, "CustomID", "cannot be sent"},
		"in a group":     {func(c *consumer.Consumer) { c.Groups[1] = "a\nb" }, "Groups", "cannot be sent"},
		"an empty group": {func(c *consumer.Consumer) { c.Groups[1] = "" }, "Groups", "is empty or has a comma"},
		"a comma":        {func(c *consumer.Consumer) { c.Groups[1] = "a,b" }, "Groups", "is empty or has a comma"},
		"a tolerance without an end": {
			func(c *consumer.Consumer) { c.Tolerate = claims.MissingExp }, "Tolerate", "missing_exp",
		},
		"no key": {
			func(c *consumer.Consumer) { c.Credentials[0].Key = "" }, "Credentials[0].Key", "give the value of the tokens' iss",
		},
		"a line end in the key": {
			func(c *consumer.Consumer) { c.Credentials[0].Key = "a\n" }, "Credentials[0].Key", "cannot be sent",
		},
		"no verifier": {
			func(c *consumer.Consumer) { c.Credentials[0].Verifier = nil }, "Credentials[0].Algorithm", "does not fit",
		},
		"another algorithm": {
			func(c *consumer.Consumer) { c.Credentials[0].Algorithm = jose.HS384 }, "Credentials[0].Algorithm", "does not fit",
		},
	} {
		t.Run(name, func(t *testing.T) {
			it := good(t)
			c.change(it)
			err := it.Check("iss", 0)
			if err == nil || !strings.Contains(err.Error(), c.want) || setting.Field(err) != c.field {
				t.Errorf("the error is about %q: %v; want %q: %q", setting.Field(err), err, c.field, c.want)
			}
		})
	}
}

// Tokens without exp must end by something.
func TestTolerancesNeedAnEnd(t *testing.T) {
	it := good(t)
	it.Tolerate = claims.MissingExp
	if err := it.Check("iss", time.Hour); err != nil {
		t.Errorf("with a longest life: %v", err)
	}
	it.Credentials[0].Expires = time.Now()
	if err := it.Check("iss", 0); err != nil {
		t.Errorf("with an end: %v", err)
	}
	it.Credentials = append(it.Credentials, consumer.Credential{Key: "b", Algorithm: jose.HS256, Verifier: key(t)})
	if err := it.Check("iss", 0); err == nil {
		t.Error("one of two credentials has no end")
	}
}

func TestReadingHasTheEndOfTheCredential(t *testing.T) {
	end := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	c := consumer.Credential{Expires: end}
	if r := c.Reading(0, time.Hour); r != nil {
		t.Errorf("without tolerances: %+v", r)
	}
	r := c.Reading(claims.MissingExp, time.Hour)
	if r == nil || r.Tolerate != claims.MissingExp || r.Lifetime != time.Hour || !r.End.Equal(end) {
		t.Errorf("it is read by %+v", r)
	}
}

func TestCredentialEndsByWhatComesFirst(t *testing.T) {
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	for name, c := range map[string]struct{ notAfter, expires, want time.Time }{
		"neither": {}, "a certificate": {notAfter: late, want: late}, "a date": {expires: late, want: late},
		"the certificate first": {notAfter: early, expires: late, want: early},
		"the date first":        {notAfter: late, expires: early, want: early},
	} {
		if got := (&consumer.Credential{NotAfter: c.notAfter, Expires: c.expires}).End(); !got.Equal(c.want) {
			t.Errorf("%s: it ends %v, want %v", name, got, c.want)
		}
	}
}
