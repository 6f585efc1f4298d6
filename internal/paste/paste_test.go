package paste_test

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/paste"
)

const token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ"

// shown is a request as one text: the request line with the host, the fields, and the body.
func shown(t testing.TB, in paste.Input) string {
	t.Helper()
	if in.Request == nil {
		return "token " + in.Token
	}
	r := in.Request
	text := r.Method + " " + r.Host + r.RequestURI
	if r.URL.RequestURI() != r.RequestURI {
		t.Errorf("target %q, and URL %q", r.RequestURI, r.URL)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if name != http.CanonicalHeaderKey(name) {
			t.Errorf("field %q", name)
		}
		for _, value := range r.Header[name] {
			text += "|" + name + ": " + value
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || int64(len(body)) != r.ContentLength {
		t.Errorf("body %q of length %d: %v", body, r.ContentLength, err)
	}
	if len(body) > 0 {
		text += "||" + string(body)
	}
	return text
}

// Whether a request came by TLS is known only if what was pasted says so. curl takes an address without a scheme for
// http.
func TestReadKnowsTheScheme(t *testing.T) {
	for text, want := range map[string]string{
		"curl https://api.example/a": "https", "curl HTTPS://api.example/a": "https", "curl http://api.example/a": "http",
		"curl api.example/a": "http", "curl ftp://api.example/a": "", ":scheme: https\n:authority: x": "https",
		":scheme: other\n:authority: x": "", "GET / HTTP/1.1\nHost: x": "", "Authorization: Bearer abc": "", token: "",
	} {
		if in, err := paste.Read(text); err != nil || in.Scheme != want {
			t.Errorf("%q: %q, %v; want %q", text, in.Scheme, err, want)
		}
	}
}

func TestReadUnderstandsWhatOperatorsPaste(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a token":                        {token, "token " + token},
		"a token with a line end":        {"\ufeff " + token + "\r\n", "token " + token},
		"a token in quotes":              {`"` + token + `"`, "token " + token},
		"an opaque token":                {"2YotnFZFEjr1zCsicMWpAA", "token 2YotnFZFEjr1zCsicMWpAA"},
		"the answer of a token endpoint": {`{"access_token":"abc","token_type":"Bearer"}`, "token abc"},
		"a scheme and a token":           {"JWT abc", "GET /|Authorization: JWT abc"},
		"a header line":                  {"authorization:  Bearer abc", "GET /|Authorization: Bearer abc"},
		"a line of cookies":              {"Cookie: a=b; t=abc", "GET /|Cookie: a=b; t=abc"},
		"two header lines": {
			"X-A: 1\r\nAuthorization: Bearer abc\r\n",
			"GET /|Authorization: Bearer abc|X-A: 1",
		},
		"a host": {"Host: api.example\nX-A: 1", "GET api.example/|X-A: 1"},
		"the fields of HTTP/2": {
			":method: PUT\n:path: /a?b=1\n:authority: api.example\nx-a: 1",
			"PUT api.example/a?b=1|X-A: 1",
		},
		"a request": {
			"GET /a?t=abc HTTP/1.1\r\nHost: api.example\r\nX-A: 1\r\n\r\n",
			"GET api.example/a?t=abc|X-A: 1",
		},
		"a request from a browser":         {"POST /a HTTP/2\nHost: x\nContent-Length: 99\n\na=b&c=d", "POST x/a||a=b&c=d"},
		"a request without a body":         {"GET / HTTP/1.1", "GET /"},
		"curl":                             {"curl https://api.example/a", "GET api.example/a"},
		"curl without a scheme":            {"curl localhost:8080", "GET localhost:8080/"},
		"curl by its path":                 {"$ /usr/bin/curl x/y", "GET x/y"},
		"curl with a header":               {`curl -H "Authorization: Bearer abc" x`, "GET x/|Authorization: Bearer abc"},
		"a header right behind its letter": {`curl -sS -H'X-A: b c' x`, "GET x/|X-A: b c"},
		"letters together":                 {`curl -sSLH 'X-A: 1' -XDELETE x`, "DELETE x/|X-A: 1"},
		"a header without a value":         {`curl -H 'X-A;' -H 'Accept:' x`, "GET x/|X-A: "},
		"a header twice":                   {`curl -H 'X-A: 1' -H 'x-a: 2' x`, "GET x/|X-A: 1|X-A: 2"},
		"a host of its own":                {`curl -H 'Host: api.example' 10.0.0.1`, "GET api.example/"},
		"cookies":                          {`curl -b 't=abc; u=d' x`, "GET x/|Cookie: t=abc; u=d"},
		"cookies by the long name":         {`curl --cookie t=abc x`, "GET x/|Cookie: t=abc"},
		"data": {
			`curl -d a=b -d c=d x`,
			"POST x/|Content-Type: application/x-www-form-urlencoded||a=b&c=d",
		},
		"data in the query": {`curl -G -d a=b --data-urlencode 'c=d e' 'x/y?z=1#f'`, "GET x/y?z=1&a=b&c=d+e"},
		"data with a method": {
			`curl --request PUT --data-raw @x x`,
			"PUT x/|Content-Type: application/x-www-form-urlencoded||@x",
		},
		"data of another type": {`curl --json '{}' x`, "POST x/|Content-Type: application/json||{}"},
		"a type of its own": {
			`curl -H 'content-type: text/plain' -d x x`,
			"POST x/|Content-Type: text/plain||x",
		},
		"a form with files":             {`curl -F a=b x`, "POST x/|Content-Type: multipart/form-data; boundary=explain"},
		"a bearer token":                {`curl --oauth2-bearer abc x`, "GET x/|Authorization: Bearer abc"},
		"a user":                        {`curl -u a:b x`, "GET x/|Authorization: Basic YTpi"},
		"HEAD":                          {`curl -I x`, "HEAD x/"},
		"options that do not matter":    {`curl --compressed -k -o /dev/null -w '%{http_code}' --max-time 3 x`, "GET x/"},
		"an address by name":            {`curl --url x -v`, "GET x/"},
		"more of a query":               {`curl --url-query a=b x`, "GET x/?a=b"},
		"several lines":                 {"curl 'https://x/a' \\\n  -H 'X-A: 1' \\\r\n  --compressed", "GET x/a|X-A: 1"},
		"the escapes of browsers":       {`curl $'x/\u0021' -H $'X-A: it\'s \xc3\xa9'`, "GET x/!|X-A: it's é"},
		"double quotes":                 {`curl -H "X-A: a\"b\\c\d" x`, `GET x/|X-A: a"b\c\d`},
		"a pipe behind it":              {"curl -s x | jq .", "GET x/"},
		"a file behind it":              {"curl x 2>/dev/null", "GET x/"},
		"an empty word":                 {`curl "" x`, "error address of the request"},
		"a dollar that means itself":    {`curl -H 'X-A: $b' -H "X-B: $" x`, "GET x/|X-A: $b|X-B: $"},
		"a variable":                    {`curl -H "Authorization: Bearer $TOKEN" x`, "error only a shell replaces"},
		"another command":               {"curl -H \"Authorization: Bearer $(cat t)\" x", "error only a shell replaces"},
		"another command in backquotes": {"curl -H `cat t` x", "error only a shell replaces"},
		"an ampersand":                  {"curl http://x/?a=b&t=abc", "error outside of quotes"},
		"a quote that is not closed":    {`curl -H 'X-A: 1`, "error not closed"},
		"no address":                    {"curl -v", "error no address"},
		"two addresses":                 {"curl x y", "error several addresses"},
		"an option that is unknown":     {"curl --frob x", "error --frob"},
		"a letter that is unknown":      {"curl -Q x x", "error one letter"},
		"an option without its value":   {"curl x -H", "error no value"},
		"a file":                        {"curl -d @body x", "error reads a file"},
		"a cookie jar":                  {"curl -b jar x", "error reads a file"},
		"a header from a file":          {"curl -H @file x", "error reads a file"},
		"a header with a line end":      {"curl -H $'X-A: 1\\nX-B: 2' x", "error line end"},
		"several requests":              {"curl x --next y", "error several requests"},
		"an address that is malformed":  {"curl 'http://[x/'", "error address"},
		"nothing":                       {" \n", "error empty"},
		"a token on two lines":          {"eyJhbGciOiJFUzI1NiJ9.\neyJpc3MiOiJodHRwcz", "error white space"},
		"JSON without a token":          {`{"id_token":"x"}`, "error access_token"},
		"a request that is malformed":   {"GET / HTTP/1.1\nno field", "error malformed"},
		"too much":                      {strings.Repeat("a", paste.MaxInput+1), "error 2 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := paste.Read(c.text)
			if want, fails := strings.CutPrefix(c.want, "error "); fails {
				if err == nil || !strings.Contains(err.Error(), want) || in != (paste.Input{}) {
					t.Errorf("error %v, want %q", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := shown(t, in); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestQuotedWordsAreReadAsTheyWere(t *testing.T) {
	in, err := paste.Read(paste.Quote([]string{"curl", "-H", "X-A: $b 'c'", "-H", "X-B: `d`\\", "http://x/?a=b&c=d"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := shown(t, in); got != "GET x/?a=b&c=d|X-A: $b 'c'|X-B: `d`\\" {
		t.Error(got)
	}
	for _, words := range [][]string{nil, {"curl", strings.Repeat("a", paste.MaxInput)}, {"curl", ""}} {
		if _, err := paste.Read(paste.Quote(words)); err == nil {
			t.Errorf("%d words: no error", len(words))
		}
	}
}

// Whatever is pasted, the result is one request or one token, and an error has nothing of the text.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		token, "curl -H 'Authorization: Bearer " + token + "' x", "Authorization: Bearer " + token, "curl $'\\u00",
		"GET / HTTP/1.1\nAuthorization: Bearer " + token, ":path: /\n:method: GET", "{}", "curl -", "curl \\",
		"curl --x" + token,
		"curl \"\\", "curl '' '' -", "curl -b", "GET \x00 HTTP/1.1", "curl http://x/ -H ';'",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in, err := paste.Read(text)
		if err == nil {
			if (in.Token != "") == (in.Request != nil) {
				t.Fatalf("%+v", in)
			}
			if in.Request != nil {
				if _, err := io.Copy(io.Discard, in.Request.Body); err != nil || in.Request.URL == nil {
					t.Fatalf("%+v", in.Request)
				}
			}
			return
		}
		for i := 0; i+24 < len(text); i++ {
			if strings.Contains(err.Error(), text[i:i+24]) && !strings.Contains(explained, text[i:i+24]) {
				t.Fatalf("%q is in the error %v", text[i:i+24], err)
			}
		}
	})
}

// explained has words that errors use of themselves.
const explained = "give a token, a header line, a curl command or an HTTP request"
