package clientcert_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/clientcert"
)

// FuzzParse looks for values that crash a form, and for values that it reads although the certificate is not in them.
func FuzzParse(f *testing.F) {
	plain := strings.Trim(example, ":")
	for form, values := range map[clientcert.Form][]string{
		clientcert.RFC9440: {example, "::", ":AAAA:", ":AA==:;a"},
		clientcert.PEM: {
			plain, plain + "," + plain, "-----BEGIN CERTIFICATE----- " + plain + " -----END CERTIFICATE-----", "-----BEGIN",
			"-----BEGIN CERTIFICATE-----\tAAAA\t-----END CERTIFICATE-----\t-----BEGIN CERTIFICATE-----",
		},
		clientcert.URLPEM: {
			"-----BEGIN%20CERTIFICATE-----%0A" + plain + "%0A-----END%20CERTIFICATE-----%0A", component(plain), "%", "%41%0A",
		},
	} {
		for _, value := range values {
			f.Add(uint8(form), value)
		}
	}
	f.Fuzz(func(t *testing.T, form uint8, value string) {
		certificate, err := clientcert.Form(form).Parse(value)
		if err != nil {
			if certificate != nil {
				t.Error("a certificate, and an error")
			}
			return
		}
		// The certificate is in the value, in one piece but for line ends.
		text := value
		if clientcert.Form(form) == clientcert.URLPEM {
			text = unescaped(value)
		}
		text = strings.NewReplacer(" ", "", "\t", "", "\n", "").Replace(text)
		if !strings.Contains(text, base64.StdEncoding.EncodeToString(certificate.Raw)) {
			t.Errorf("a certificate that is not in %q", value)
		}
		again, err := clientcert.Form(form).Parse(written(clientcert.Form(form), certificate.Raw))
		if len(certificate.Raw) < 4<<10 && (err != nil || !bytes.Equal(again.Raw, certificate.Raw)) {
			t.Errorf("what was read is not read again: %v", err)
		}
	})
}

// unescaped undoes percent-encoding one byte after the other.
func unescaped(value string) string {
	var text strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '%' {
			text.WriteByte(value[i])
			continue
		}
		const digits = "0123456789abcdef"
		high := strings.IndexByte(digits, value[i+1]|0x20)
		low := strings.IndexByte(digits, value[i+2]|0x20)
		text.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return text.String()
}

func written(form clientcert.Form, der []byte) string {
	text := base64.StdEncoding.EncodeToString(der)
	if form == clientcert.RFC9440 {
		return ":" + text + ":"
	}
	return text
}

func BenchmarkParse(b *testing.B) {
	plain := strings.Trim(example, ":")
	for form, value := range map[clientcert.Form]string{
		clientcert.RFC9440: example,
		clientcert.PEM:     "-----BEGIN CERTIFICATE----- " + plain + " -----END CERTIFICATE-----",
		clientcert.URLPEM:  component("-----BEGIN CERTIFICATE-----\n" + plain + "\n-----END CERTIFICATE-----\n"),
	} {
		b.Run(form.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := form.Parse(value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
