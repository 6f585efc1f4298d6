package integration

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// openBoothEverywhere runs a booth with these directives that is reached by all protocols, as startEverywhere has it.
func openBoothEverywhere(t *testing.T, directives func(b *booth) []string) (*booth, []way) {
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	b := newBooth(t)
	b.servers += "\n\t\ttrusted_proxies static 127.0.0.1/32"
	lines := strings.Join(directives(b), "\n\t")
	b.secure = b.loadOnAPort(func(port string) string {
		return strings.Replace(b.kept(b.onPort(port, lines)), "\tservers {", "\tservers {\n\t\t"+b.servers, 1)
	})
	return b, b.ways()
}

// by is the same booth for requests by another protocol.
func (b *booth) by(w way) *booth {
	other := b.in(b.t)
	other.client, other.base = w.client, strings.TrimSuffix(w.url, "/")
	return other
}

// posted is a request of HTTP/1.1, with further fields as they are on the wire. It has a length unless they say how the
// body ends.
func (b *booth) posted(target, body string, fields ...string) string {
	text := "POST " + target + " HTTP/1.1\r\nHost: gate.test\r\nX-Forwarded-For: " + b.from +
		"\r\nContent-Type: application/json\r\n"
	framed := false
	for _, field := range fields {
		name, _, _ := strings.Cut(field, ":")
		framed = framed || strings.EqualFold(name, "Content-Length") || strings.EqualFold(name, "Transfer-Encoding")
		text += field + "\r\n"
	}
	if !framed {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	return text + "\r\n" + body
}

// converses sends a text on a connection of its own, and gives all answers until the server closes the connection. The
// last request of the text should ask it to.
func (b *booth) converses(text string) (answers []answer) {
	b.t.Helper()
	conn, reader := b.opened(text)
	defer conn.Close()
	for {
		response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodPost})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			b.unable("after %d answers: %v", len(answers), err)
		}
		if err != nil {
			return answers
		}
		body, _ := io.ReadAll(response.Body)
		answers = append(answers, answer{response, string(body)})
	}
}

// keepsSecrets wants neither the backend nor the log to have seen the password, as it is or in Basic.
func (b *booth) keepsSecrets() {
	b.t.Helper()
	b.nothingForwarded()
	log := b.log()
	for _, secret := range []string{password[:9], basicOf("alice", password)[8:]} {
		if strings.Contains(log, secret) {
			b.t.Errorf("the log has %q", secret)
		}
	}
}

func basicOf(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}
