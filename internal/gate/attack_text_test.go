package gate_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// lavish lets tokens of up to a mebibyte through to the parsers, which must withstand them, too.
func lavish(tb testing.TB) func(*gate.Config) {
	return func(c *gate.Config) {
		var err error
		if c.Extractor, err = bearer.NewExtractor(bearer.Options{MaxToken: 1 << 20}); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestFormAttacks(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	good := key.Sign(t, says())
	parts := strings.Split(good, ".")
	h, p, s := parts[0], parts[1], parts[2]
	for name, c := range map[string]struct {
		token string
		want  gate.Reason
	}{
		"15 000 dots":             {strings.Repeat(".", 15_000), gate.MalformedToken},
		"100 000 dots":            {strings.Repeat(".", 100_000), gate.MalformedToken},
		"dots after a token":      {good + strings.Repeat(".", 10_000), gate.MalformedToken},
		"letters between dots":    {strings.Repeat("a.", 7_000), gate.MalformedToken},
		"one part":                {h, gate.MalformedToken},
		"two parts":               {h + "." + p, gate.MalformedToken},
		"four parts":              {good + "." + s, gate.MalformedToken},
		"five parts, as a JWE":    {h + "." + p + "." + s + "." + s + "." + s, gate.MalformedToken},
		"six parts":               {good + "." + good, gate.MalformedToken},
		"a dot in front":          {"." + good, gate.MalformedToken},
		"a dot at the end":        {good + ".", gate.MalformedToken},
		"two dots":                {"..", gate.MalformedToken},
		"no header":               {"." + p + "." + s, gate.MalformedToken},
		"no payload":              {h + ".." + s, gate.MalformedToken},
		"no signature":            {h + "." + p + ".", gate.MalformedToken},
		"padding":                 {good + "==", gate.MalformedToken},
		"padding inside":          {h + "=", gate.MalformedToken},
		"the other alphabet":      {h + "." + p + ".+/" + s[2:], gate.MalformedToken},
		"a tilde":                 {h + "." + p + ".~" + s[1:], gate.MalformedToken},
		"a space":                 {h + " ." + p + "." + s, gate.MalformedRequest},
		"a line break":            {h + "\n." + p + "." + s, gate.MalformedRequest},
		"a high byte":             {"\x80" + good, gate.MalformedRequest},
		"a full-width letter":     {"ａ" + good, gate.MalformedRequest},
		"JSON":                    {`{"payload":"` + p + `","signatures":[]}`, gate.MalformedRequest},
		"junk behind":             {good + " extra", gate.MalformedRequest},
		"a comma":                 {good + ",", gate.MalformedRequest},
		"quotes":                  {`"` + good + `"`, gate.MalformedRequest},
		"100 KB of letters":       {strings.Repeat("a", 100_000), gate.MalformedToken},
		"100 KB header":           {strings.Repeat("e", 100_000) + "." + p + "." + s, gate.MalformedToken},
		"100 KB payload":          {h + "." + strings.Repeat("e", 100_000) + "." + s, gate.MalformedToken},
		"100 KB signature":        {h + "." + p + "." + strings.Repeat("A", 100_000), gate.InvalidSignature},
		"impossible length":       {h + "." + p + "." + s[:len(s)-1], gate.MalformedToken},
		"a megabyte and one byte": {strings.Repeat("a", 1<<20+1), gate.MalformedRequest},
	} {
		t.Run(name, func(t *testing.T) { withstands(t, build(t, key, lavish(t)), c.token, c.want) })
	}
	t.Run("100 KB are not even read", func(t *testing.T) {
		withstands(t, build(t, key), h+"."+strings.Repeat("e", 100_000)+"."+s, gate.MalformedRequest)
	})
}

func TestClaimsInAnotherCaseAreOtherClaims(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	payload := `{"iss":"` + issuerA + `","aud":"` + api + `","exp":1795435999,` +
		`"sub":"alice","SUB":"admin","Aud":"x","EXP":1,"\u017fub":"admin","CNF":{}}`
	r := request(key.SignRaw(`{"alg":"ES256","kid":"k1"}`, payload))
	if id := accepted(t, build(t, key), r); id.ID != "alice" {
		t.Errorf("identity %v", id)
	}
}
