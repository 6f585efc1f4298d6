package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// replaces gives a file another content at once.
func replaces(t testing.TB, file, text string) {
	t.Helper()
	if err := os.Rename(writeFile(t, file+".new", text), file); err != nil {
		t.Fatal(err)
	}
}

// clientsText is a file of clients with these ids, whose secret is clientSecret.
func clientsText(t testing.TB, ids ...string) string {
	t.Helper()
	list := []m{}
	for _, id := range ids {
		list = append(list, m{"id": id, "secret_hash": []string{hashOf(t, clientSecret)}, "scopes": []string{"read"}})
	}
	return asJSON(t, m{"clients": list})
}

// The file of clients is read again when it changes. Who is gone from it is out at once, and a file that cannot be used
// changes nothing.
func TestTheFileOfClientsIsReadAgain(t *testing.T) {
	long(t)
	b := newBooth(t)
	file := writeFile(t, filepath.Join(t.TempDir(), "clients.json"), clientsText(t, "batch", "night"))
	b.runs(b.issuerWith("clients file "+file, b.asker()), localGate())
	batch, night := b.tokenOf("batch"), b.tokenOf("night")
	b.works(batch)
	b.works(night)
	replaces(t, file, clientsText(t, "night", "day"))
	b.becomes("batch", http.StatusUnauthorized)
	b.isOut(batch, "invalid_audience")
	b.unknownTo("asker", batch)
	b.works(night)
	b.works(b.tokenOf("day"))
	replaces(t, file, clientsText(t, "night", "asker")) // which the configuration has, too
	eventually(t, "the log says what is wrong", func() bool {
		return b.logged("the clients file cannot be used", `"level":"warn"`, file)
	})
	b.works(night)
	b.works(b.tokenOf("day"))
	replaces(t, file, clientsText(t, "batch"))
	b.becomes("batch", http.StatusOK)
	b.works(batch)
	b.isOut(night, "invalid_audience")
}

// becomes waits until a client that asks for a token gets a status. What it may fail does not run out: each attempt
// comes from another address.
func (b *booth) becomes(id string, status int) {
	b.t.Helper()
	eventually(b.t, fmt.Sprint(id, " gets ", status), func() bool {
		from := []string{"X-Forwarded-For", newAddress()}
		return b.form(tokenPath, asking(), append(from, secretOf(id)...)...).StatusCode == status
	})
}

// A subject is a user or a client. A user cannot sign in with the name of a client, and a session ends when a client
// gets the name of its user.
func TestAUserWithTheNameOfAClient(t *testing.T) {
	b := newBooth(t)
	users := newFile(t, "users", "batch:"+hashOf(t, password)+"\nbob:"+hashOf(t, "bobs")+"\n")
	file := writeFile(t, filepath.Join(t.TempDir(), "clients.json"), clientsText(t))
	b.runs(issuingFor(ownIssuer, "users file "+users, appOf(orders, lasting), "default_audience "+audience,
		"clients file "+file), localGate())
	signs := signsIn("batch", password)
	p, q, bob := b.loginAt(orders, signs), b.loginAt(orders, signs), b.loginAt(orders, signsIn("bob", "bobs"))
	b.works(p.Access)
	replaces(t, file, clientsText(t, "batch"))
	b.becomes("batch", http.StatusOK)
	b.failed(b.post(orders+"login", asJSONBody, signs), http.StatusUnauthorized, "invalid_grant")
	b.spent(p.Refresh)
	b.failed(b.form(tokenPath, refreshing(orders, q.Refresh)), http.StatusBadRequest, "invalid_grant")
	b.works(b.tokenOf("batch"))
	b.works(b.refresh(bob).Access)
	err := b.tryLoad(b.whole(issuingFor(ownIssuer, "user batch "+hashOf(t, password), appOf(orders),
		"default_audience "+audience, b.clientOf("batch")), localGate()))
	if err == nil || !strings.Contains(err.Error(), `client "batch": a user has this name`) {
		t.Errorf("a user of the configuration: %v", err)
	}
}
