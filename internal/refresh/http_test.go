package refresh_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/refresh"
)

// scripted returns its answers one after another, and then repeats the last one. It records the tag of each request.
type scripted struct {
	answers []*fetch.Response
	tags    []string
}

func (s *scripted) Get(_ context.Context, _, _, etag string) (*fetch.Response, error) {
	s.tags = append(s.tags, etag)
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	if answer == nil {
		return nil, errDown
	}
	return answer, nil
}

func (s *scripted) Close() error { return nil }

func TestTheTagOfTheLastUsableAnswerIsSent(t *testing.T) {
	tagged := func(tag string) *fetch.Response {
		return &fetch.Response{Status: 200, Header: http.Header{"Etag": {tag}}, Body: []byte("good")}
	}
	const here, there = "https://as.example.com/here", "https://as.example.com/there"
	server, resource := new(scripted), new(refresh.Resource)
	for i, step := range []struct {
		name   string
		url    string
		answer *fetch.Response
		tag    string // that is to be sent
		same   bool
		fails  bool
	}{
		{"the first time", here, tagged(`"1"`), "", false, false},
		{"unmodified", here, &fetch.Response{Status: 304, NotModified: true}, `"1"`, true, false},
		{"still unmodified", here, &fetch.Response{Status: 304, NotModified: true}, `"1"`, true, false},
		{"another tag", here, tagged(`"2"`), `"1"`, false, false},
		{"another address", there, tagged(`"3"`), "", false, false},
		{"the first address again", here, tagged(`"2"`), "", false, false},
		{"a server that is down", here, nil, `"2"`, false, true},
		{"after that", here, tagged(`"4"`), "", false, false},
		{"an error page with a tag", here, &fetch.Response{
			Status: 500, Header: http.Header{"Etag": {`"5"`}},
		}, `"4"`, false, true},
		{"after the page", here, tagged(`"6"`), "", false, false},
		{"an unusable document", here, &fetch.Response{
			Status: 200, Header: http.Header{"Etag": {`"7"`}}, Body: []byte("bad"),
		}, `"6"`, false, true},
		{"after the document", here, tagged(strings.Repeat("x", 257)), "", false, false},
		{"after a tag that is too long", here, tagged(`"8"`), "", false, false},
		{"a tag that fits", here, tagged(strings.Repeat("x", 256)), `"8"`, false, false},
		{"after it", here, &fetch.Response{Status: 304, NotModified: true}, strings.Repeat("x", 256), true, false},
	} {
		server.answers = []*fetch.Response{step.answer}
		same, _, err := resource.Get(t.Context(), server, step.url, "text/plain", func(body []byte) error {
			if string(body) != "good" {
				return errors.New("unusable")
			}
			return nil
		})
		if server.tags[i] != step.tag || same != step.same || (err != nil) != step.fails {
			t.Errorf("%s: sent %q, unmodified %v, error %v", step.name, server.tags[i], same, err)
		}
	}
}

func TestNotModifiedWithoutATagIsAFailure(t *testing.T) {
	server := &scripted{answers: []*fetch.Response{{Status: 304, NotModified: true}}}
	read := func([]byte) error { return nil }
	same, _, err := new(refresh.Resource).Get(t.Context(), server, "https://as.example.com", "", read)
	if same || err == nil {
		t.Errorf("unmodified %v, error %v", same, err)
	}
}

// Whatever a server says about caching, the lifetime is absent or within bounds.
func FuzzLifetime(f *testing.F) {
	f.Add("max-age=60", "1", "Mon, 05 Jan 2026 11:00:00 GMT", "Mon, 05 Jan 2026 10:00:00 GMT")
	f.Add(`private, MAX-AGE="99999999999999999999"`, "99999999999999999999", "0", "")
	f.Add("max-age,max-age=-1,=,,", "-1", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT")
	f.Add("", "1", "Mon, 01 Jan 0001 00:00:00 GMT", "Mon, 01 Jan 0700 00:00:00 GMT") // centuries apart
	f.Fuzz(func(t *testing.T, control, age, expires, date string) {
		header := http.Header{"Cache-Control": {control}, "Age": {age}, "Expires": {expires}, "Date": {date}}
		life := refresh.Lifetime(header, time.Now())
		if life < -1 || life > 11*365*24*time.Hour {
			t.Errorf("%d", life)
		}
	})
}
