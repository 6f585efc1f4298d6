package store_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if child := children[os.Getenv(childVariable)]; child != nil {
		child(os.Getenv(pathVariable))
		os.Exit(0)
	}
	// After a fault inside of bbolt, goroutines of a broken store may wait for its locks forever. Nobody waits for them.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("go.etcd.io/bbolt.(*DB).beginTx"),
		goleak.IgnoreAnyFunction("go.etcd.io/bbolt.(*DB).removeTx"),
		goleak.IgnoreAnyFunction("go.etcd.io/bbolt.(*DB).beginRWTx"),
		goleak.IgnoreAnyFunction("go.etcd.io/bbolt.(*Tx).writeMeta"))
}

// A test runs its own program again as another process, which these variables turn into a child.
const (
	childVariable = "STORE_TEST_CHILD"
	pathVariable  = "STORE_TEST_PATH"
)

// children are what other processes do with a store, by name.
var children = make(map[string]func(path string))

func TestMemoryIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return store.NewMemory() })
}

func TestFileIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openFile(t, filepath.Join(t.TempDir(), "a", "store.db")) })
}

// openFile opens a store in a file, and closes it at the end of the test.
func openFile(t testing.TB, path string) *store.File {
	t.Helper()
	f, err := store.OpenFile(path, store.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("closing it: %v", err)
		}
	})
	return f
}

const racers = 64

// race runs a function in many goroutines at once.
func race(run func(int)) {
	var all sync.WaitGroup
	for i := range racers {
		all.Go(func() { run(i) })
	}
	all.Wait()
}
