package revocations

import (
	"testing"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/revoke"
)

// reloaded is a configuration whose tokens live for a while, after one with a store in memory.
func reloaded(t *testing.T, before *Revocations, life time.Duration) *Revocations {
	t.Helper()
	r := provisioned(t, before.desk, before.pool)
	r.AddOwners([]revoke.Owner{{Issuer: issuer, MaxLifetime: life}})
	return r
}

// long is a token that was issued a moment ago, and lives for ten hours.
func long(t *testing.T) revoke.Token {
	t.Helper()
	set, err := claims.Decode([]byte(`{"sub":"alice"}`))
	if err != nil {
		t.Fatal(err)
	}
	set.IssuedAt = time.Now().Add(-time.Minute)
	set.ExpiresAt = set.IssuedAt.Add(10 * time.Hour)
	return revoke.Token{Issuer: issuer, Set: set}
}

// Gates of a new configuration may get requests before its store is open. They know what is revoked already, and what
// lives longer than it could.
func TestRequestsBeforeTheStoreIsOpenAgain(t *testing.T) {
	before := provisioned(t, new(Desk), pool.New(nil))
	first := &before.handle
	if _, err := first.Generation(time.Now()); err == nil {
		t.Error("it is known what is revoked before there is a store")
	}
	if err := before.Start(); err != nil {
		t.Fatal(err)
	}
	before.InForce()
	defer before.Stop()
	if _, _, err := before.Write(t.Context(), &Order{Issuer: issuer, Subject: "bob"}); err != nil {
		t.Fatal(err)
	}
	after := reloaded(t, before, 24*time.Hour)
	if _, err := after.handle.Generation(time.Now()); err != nil {
		t.Fatal(err)
	}
	token := long(t)
	if by, revoked := after.handle.Revokes(token); !revoked || by.Kind != revoke.Outgrown {
		t.Errorf("a token that lives longer than it could: %+v", by)
	}
	token.Set.Subject = "bob"
	if by, revoked := after.handle.Revokes(token); !revoked || by.Kind != revoke.Subject {
		t.Errorf("a token that is revoked: %+v", by)
	}
}

// A configuration that is started, and never comes into force, changes nothing for the next one.
func TestAConfigurationThatFailsToStart(t *testing.T) {
	before := provisioned(t, new(Desk), pool.New(nil))
	if err := before.Start(); err != nil {
		t.Fatal(err)
	}
	before.InForce()
	defer before.Stop()
	fails := reloaded(t, before, 24*time.Hour)
	if err := fails.Start(); err != nil {
		t.Fatal(err)
	}
	if err := fails.Stop(); err != nil {
		t.Fatal(err)
	}
	if current, err := before.desk.Current(); current != before {
		t.Errorf("orders go to another configuration, %v", err)
	}
	token := long(t) // somebody may revoke it now, for an hour
	token.Set.IssuedAt = time.Now()
	next := reloaded(t, before, 24*time.Hour)
	if err := next.Start(); err != nil {
		t.Fatal(err)
	}
	next.InForce()
	defer next.Stop()
	if _, revoked := next.handle.Revokes(token); !revoked {
		t.Error("a token that lives longer than it could passes")
	}
}
