package deepcopy_test

import (
	"reflect"
	"testing"

	"github.com/caddyjwt/gateway/internal/deepcopy"
)

type settings struct {
	Text    string
	List    []string
	Array   [2]*int
	Pointer *settings
	Shared  *int `clone:"shared"`
	Any     any
	private []string
}

func TestCopySharesOnlyWhatIsMeantToBeShared(t *testing.T) {
	number := func() *int { return new(int) }
	made := func() settings {
		return settings{
			Text: "a", List: []string{"b"}, Array: [2]*int{number(), nil}, Pointer: &settings{List: []string{"c"}},
			Shared: number(), Any: number(), private: []string{"d"},
		}
	}
	original := made()
	kept := deepcopy.Of(original)
	if !reflect.DeepEqual(kept, original) {
		t.Fatalf("the copy is %+v", kept)
	}
	original.List[0], *original.Array[0], original.Pointer.List[0] = "x", 7, "x"
	if !reflect.DeepEqual(kept, made()) {
		t.Errorf("a change of the original has changed the copy: %+v", kept)
	}
	if kept.Shared != original.Shared || kept.Any != original.Any || &kept.private[0] != &original.private[0] {
		t.Error("what is meant to be shared was copied")
	}
}

func TestCopyRefusesWhatItCannotCopy(t *testing.T) {
	for name, call := range map[string]func(){
		"a map":     func() { deepcopy.Of(struct{ M map[string]int }{}) },
		"a channel": func() { deepcopy.Of(struct{ C chan int }{}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			call()
		})
	}
}
