package jose_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
)

func TestParse(t *testing.T) {
	token := encode(`{"alg":"ES256","kid":"k1","typ":"JWT"}`) + "." + encode(`{"iss":"x"}`) + "." + encode("sig")
	got := must(jose.Parse(token, nil))
	if got.Header.Algorithm != jose.ES256 || got.Header.KeyID != "k1" || got.Header.Type != "jwt" {
		t.Errorf("header is %+v", got.Header)
	}
	if string(got.Payload) != `{"iss":"x"}` || string(got.Signature) != "sig" ||
		got.SigningInput != token[:strings.LastIndex(token, ".")] {
		t.Errorf("token is %+v", got)
	}
}

// The rest of a token whose header is known is what Parse makes of the whole.
func TestParseRest(t *testing.T) {
	token := encode(`{"alg":"ES256"}`) + "." + encode(`{"iss":"x"}`) + "." + encode("sig")
	want := must(jose.Parse(token, nil))
	for _, buf := range [][]byte{nil, make([]byte, 0, 5), make([]byte, 0, 1000)} {
		got := must(jose.ParseRest(token, buf))
		if string(got.Payload) != string(want.Payload) || string(got.Signature) != string(want.Signature) ||
			got.SigningInput != want.SigningInput || got.Header.Algorithm != 0 {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	for _, text := range []string{
		"", "a", "a.b", "a..c", ".b.c", "a.b.", token + ".d", token + "=", "AAAA.A.AAAA", "AAAA.AAAA.A", "AAAA.AA+A.AAAA",
		"AAAA.AAAA.AA\n",
	} {
		if _, err := jose.ParseRest(text, nil); !is(err, jose.ErrMalformed) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestParseRefusesOtherForms(t *testing.T) {
	header, payload, signature := encode(`{"alg":"ES256"}`), encode(`{}`), encode("signature")
	good := header + "." + payload + "." + signature
	for name, token := range map[string]string{
		"nothing":                    "",
		"one part":                   header,
		"two parts":                  header + "." + payload,
		"four parts":                 good + "." + signature,
		"five parts":                 good + "." + signature + "." + signature,
		"six parts":                  good + strings.Repeat("."+signature, 3),
		"one dot":                    ".",
		"two dots":                   "..",
		"three dots":                 "...",
		"leading dot":                "." + good,
		"trailing dot":               good + ".",
		"no header":                  "." + payload + "." + signature,
		"no payload":                 header + ".." + signature,
		"no signature":               header + "." + payload + ".",
		"only a header":              header + "..",
		"white space around":         " " + good + "\n",
		"line end inside the header": header[:4] + "\n" + header[4:] + "." + payload + "." + signature,
		"line end in the payload":    header + "." + payload[:2] + "\r\n" + payload[2:] + "." + signature,
		"line end in the signature":  good + "\n",
		"padded header":              header + "=." + payload + "." + signature,
		"padded payload":             header + "." + payload + "=." + signature,
		"padded signature":           good + "=",
		"standard alphabet":          header + "." + payload + ".+/+/",
		"question mark in payload":   header + "." + payload + "?." + signature,
		"high byte":                  good + "\x80aa",
		"full-width hyphen":          good + "\uff0d",
		"tilde":                      good + "~aa",
		"bits left over":             header + "." + payload + ".YR",
		"general JSON": `{"payload":"` + payload +
			`","signatures":[{"protected":"` + header + `","signature":"` + signature + `"}]}`,
		"flattened JSON":   `{"payload":"` + payload + `","protected":"` + header + `","signature":"` + signature + `"}`,
		"JSON and compact": `{"a":"` + good + `"}`,
		"too long":         header + "." + strings.Repeat("A", 1<<20) + "." + signature,
		"long header":      encode(`{"alg":"ES256","x":"`+strings.Repeat("x", 8<<10)+`"}`) + "." + payload + "." + signature,
		"quoted":           `"` + good + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := jose.Parse(token, nil)
			requireErr(t, err, jose.ErrMalformed)
			if got.Payload != nil || got.Signature != nil || got.SigningInput != "" || got.Header != (jose.Header{}) {
				t.Errorf("error and %+v", got)
			}
		})
	}
}

func TestParseUsesTheBuffer(t *testing.T) {
	token := signers()[jose.ES256].token(600)
	buf := make([]byte, 0, len(token))
	got := must(jose.Parse(token, buf))
	if &buf[:1][0] != &got.Payload[0] {
		t.Error("payload is not in the buffer")
	}
	header := got.Header
	clear(buf[:cap(buf)])
	if header.KeyID != "2026-11" || header.Type != "at+jwt" {
		t.Errorf("header changes with the buffer: %+v", header)
	}
	if kid, _ := header.Text("kid"); kid != "2026-11" {
		t.Errorf("header text changes with the buffer: %q", kid)
	}
	for _, n := range []int{0, 1, 100, len(token) / 2} {
		requireErr(t, func() error { _, err := jose.Parse(token, make([]byte, n)); return err }(), nil)
	}
	_ = append(got.Payload, 'x') // must not run into the signature
	if must(jose.Parse(token, nil)).Signature[0] != 0 && got.Signature[0] == 'x' {
		t.Error("payload and signature overlap")
	}
}

// Refusing a text early costs the same, however long it is.
func TestParseOfDotsAllocatesNothing(t *testing.T) {
	for _, token := range []string{
		strings.Repeat(".", 15000), "a" + strings.Repeat(".", 1<<20),
		strings.Repeat("a.", 8000), strings.Repeat("a", 16<<10),
	} {
		if n := testing.AllocsPerRun(100, func() { _, _ = jose.Parse(token, nil) }); n != 0 {
			t.Errorf("token of %d bytes: %v allocations", len(token), n)
		}
	}
}

func TestParseAllocations(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.HS256, jose.RS256, jose.ES512} {
		token := signers()[alg].token(500)
		buf := make([]byte, len(token))
		if n := testing.AllocsPerRun(100, func() { _, _ = jose.Parse(token, buf) }); n > 1 {
			t.Errorf("%v: %v allocations, want one, for the header", alg, n)
		}
	}
}

// An accepted text is the only encoding of its token. An independent decoder agrees with ours.
func FuzzParse(f *testing.F) {
	for _, s := range signers() {
		f.Add(s.token(60))
	}
	for _, header := range []string{
		`{"alg":"none"}`, `{"alg":"HS256","crit":["x"]}`, `{"alg":"HS256","b64":false}`, `{"alg":"RS256","alg":"none"}`,
		`{"\u0061lg":"RS256","kid":"\u0061","typ":"application\/at+jwt"}`, `[]`, `null`, `{}`, ` { "alg" : "ES256" } `,
	} {
		f.Add(encode(header) + "." + encode("{}") + "." + encode("x"))
	}
	f.Add("..")
	f.Add("a.b.c.d.e")
	f.Fuzz(func(t *testing.T, token string) {
		got, err := jose.Parse(token, nil)
		if err != nil {
			if !is(err, jose.ErrMalformed) && !is(err, jose.ErrAlgorithm) && !is(err, jose.ErrType) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		parts := strings.Split(token, ".")
		if len(parts) != 3 || got.SigningInput != parts[0]+"."+parts[1] ||
			encode(got.Payload) != parts[1] || encode(got.Signature) != parts[2] {
			t.Fatalf("%q does not come back from %+v", token, got)
		}
		raw, ok := jose.Decode(parts[0])
		if !ok || encode(raw) != parts[0] {
			t.Fatalf("header of %q does not come back", token)
		}
		var header map[string]any
		if err := json.Unmarshal(raw, &header); err != nil {
			t.Fatalf("accepted header %q: %v", raw, err)
		}
		if header["alg"] != got.Header.Algorithm.String() {
			t.Fatalf("algorithm %v of %q", got.Header.Algorithm, raw)
		}
		if kid, ok := header["kid"]; ok != (got.Header.KeyID != "") || ok && kid != got.Header.KeyID {
			t.Fatalf("key %q of %q", got.Header.KeyID, raw)
		}
		if _, ok := header["typ"]; ok != (got.Header.Type != "") {
			t.Fatalf("type %q of %q", got.Header.Type, raw)
		}
		for _, name := range []string{"crit", "b64", "enc", "zip"} {
			if _, ok := header[name]; ok {
				t.Fatalf("accepted %q", raw)
			}
		}
		if !jose.LooksLikeJWT(token) || jose.IsEncrypted(token) {
			t.Fatalf("%q does not look like a JWT", token)
		}
		again, err := jose.Parse(token, bytes.Repeat([]byte{0xAA}, len(token)))
		if err != nil || !bytes.Equal(again.Payload, got.Payload) || !bytes.Equal(again.Signature, got.Signature) {
			t.Fatalf("%q reads differently into a used buffer", token)
		}
	})
}

// FuzzMutation changes a byte or bit of a token, adds a byte, removes one, or cuts off an end. The token must be
// refused unless nothing changed, whatever the algorithm.
func FuzzMutation(f *testing.F) {
	algs := allAlgorithms()
	tokens := map[jose.Algorithm]string{}
	for alg, s := range signers() {
		tokens[alg] = s.token(60)
	}
	for i := range algs {
		for how := range uint8(6) {
			f.Add(uint8(i), uint16(100*i), byte('.'), how)
		}
	}
	f.Fuzz(func(t *testing.T, a uint8, at uint16, b byte, how uint8) {
		alg := algs[int(a)%len(algs)]
		token := tokens[alg]
		i := int(at) % len(token)
		var changed string
		switch how % 6 {
		case 0:
			changed = token[:i] + string([]byte{b}) + token[i+1:]
		case 1:
			changed = token[:i] + string([]byte{b}) + token[i:]
		case 2:
			changed = token[:i] + token[i+1:]
		case 3:
			changed = token[:i] + string([]byte{token[i] ^ 1<<(b%8)}) + token[i+1:]
		case 4:
			changed = token[:i]
		case 5:
			changed = token[i:]
		}
		if err := accepts(signers()[alg].key, changed); (err == nil) != (changed == token) {
			t.Fatalf("%v: %q became %q: %v", alg, token, changed, err)
		}
	})
}
