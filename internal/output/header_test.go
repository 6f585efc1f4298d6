package output_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/identity"
	"github.com/caddyjwt/gateway/internal/output"
	"github.com/caddyjwt/gateway/internal/setting"
)

// A member of the JOSE header is written as a claim is, and is no claim.
func TestHeaderMemberAsHeader(t *testing.T) {
	outputs := newSet(t, output.Settings{
		ForwardHeader: []output.Forward{{Path: path(t, "co"), Header: "x-company"}, {Path: path(t, "n"), Header: "X-N",
			As: claims.JSON}},
	})
	for text, want := range map[string]http.Header{
		`{"co":"a,b","n":[1]}`: {"X-Company": {"a%2Cb"}, "X-N": {"[1]"}},
		`{"n":"ü"}`:            {"X-N": {`"\u00fc"`}},
		`{}`:                   {},
		`{"co":"a\nb"}`:        nil,
		`{"co":"` + strings.Repeat("a", 8<<10+1) + `"}`: nil,
	} {
		id, h := identityOf(t, `{"sub":"s","co":"claim","n":9}`), make(http.Header)
		header, _ := identityOf(t, `{"sub":"s","header":`+text+`}`).Claims.Claim("header")
		id.Header = claims.HeaderOf(header.JSON())
		err := outputs.Write(h, id)
		if want == nil {
			unsafely(t, err, h, "header member co", "aaa")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		same(t, h, want)
	}
	for _, id := range []*identity.Identity{identityOf(t, `{"sub":"s","co":"claim"}`), new(identity.Identity)} {
		h := make(http.Header)
		if err := outputs.Write(h, id); err != nil || len(h) != 0 {
			t.Errorf("without a header: %v, %v", h, err)
		}
	}
	if !outputs.Has("X_Company") || !outputs.Has("x-n") {
		t.Error("clients can send the fields")
	}
}

func TestHeaderMemberMistakes(t *testing.T) {
	for name, want := range map[string]string{
		"X-User": "already taken", "X-Consumer-Username": "already taken", "Host": "meaning of its own", "X A": "letters",
	} {
		_, err := output.New(output.Settings{
			ForwardClaims: []output.Forward{{Path: path(t, "sub"), Header: "X-User"}},
			ForwardHeader: []output.Forward{{Path: path(t, "a"), Header: "X-A"}, {Path: path(t, "co"), Header: name}},
			MayHoldToken:  func(string) bool { return false },
		})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "forward_header "+name) ||
			setting.Field(err) != "ForwardHeader[1].Header" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
