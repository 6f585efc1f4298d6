package hashing_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/hashing/hashingtest"
)

// every has a field of each readable kind.
type every struct {
	Flag       bool
	Text       string
	hidden     string
	Whole      int
	Small      int8
	Positive   uint64
	Byte       byte
	Share      float64
	Small32    float32
	Bytes      []byte
	Texts      []string
	Pins       [][32]byte
	Inner      inner
	unseen     inner
	Pointer    *inner
	Inners     []inner
	Header     map[string][]string
	Named      map[int]inner
	Until      time.Time
	Wait       time.Duration
	Key        key
	AnyKey     hashing.Fingerprinter
	KeyPointer *key
	Call       func() error  `fingerprint:"set"`
	Done       chan struct{} `fingerprint:"set"`
	Client     fmt.Stringer  `fingerprint:"set"`
	Presence   []string      `fingerprint:"set"`
	Logger     fmt.Stringer  `fingerprint:"-"`
	Judged     time.Duration `fingerprint:"-"`
	self       *every
	embedded
}

type embedded struct{ First, Second string }

type inner struct {
	Name   string
	hidden []int
}

// key makes its own fingerprint, so its other field does not count.
type key struct {
	thumbprint [32]byte
	beside     func()
}

func (k key) Fingerprint() [32]byte { return k.thumbprint }

func TestEveryKindOfFieldIsPartOfTheFingerprint(t *testing.T) {
	base := every{Client: time.Second, AnyKey: key{}}
	hashingtest.EveryField(t, base, func(s every) [32]byte { return hashing.Fingerprint(s) })
	base.Inners, base.Pointer, base.Header = []inner{{Name: "a"}}, &inner{}, map[string][]string{"A": {"b"}}
	hashingtest.EveryField(t, &base, func(s *every) [32]byte { return hashing.Fingerprint(s) })
}

func TestFieldsThatAreTaggedDoNotCount(t *testing.T) {
	sum := hashing.Fingerprint(every{})
	for name, settings := range map[string]every{
		"left out":                  {Logger: time.Second, Judged: 1},
		"beside a key's thumbprint": {Key: key{beside: func() {}}},
		"zone of a time":            {Until: time.Time{}.In(time.FixedZone("", 3600))},
	} {
		if hashing.Fingerprint(settings) != sum {
			t.Errorf("%s: another fingerprint", name)
		}
	}
	one, two := every{Call: func() error { return nil }}, every{Call: func() error { return fmt.Errorf("x") }}
	if hashing.Fingerprint(one) != hashing.Fingerprint(two) {
		t.Error("more counts of a function than its presence")
	}
}

func TestSettingsThatAreAlike(t *testing.T) {
	type other every
	sum := hashing.Fingerprint(every{})
	if hashing.Fingerprint(&every{}) != sum {
		t.Error("a pointer to settings has another fingerprint")
	}
	if hashing.Fingerprint(other{}) == sum {
		t.Error("two types share a fingerprint")
	}
	large := map[string][]string{}
	for i := range 100 {
		large[fmt.Sprint(i)] = []string{"x"}
	}
	for range 10 {
		if hashing.Fingerprint(every{Header: large}) != hashing.Fingerprint(every{Header: large}) {
			t.Fatal("the order of a map counts")
		}
	}
}

func TestSettingsThatLookAlikeDiffer(t *testing.T) {
	seen := map[[32]byte]int{}
	for i, settings := range []every{
		{}, {Texts: []string{}}, {Texts: []string{""}}, {Texts: []string{"", ""}},
		{Texts: []string{"ab", "c"}}, {Texts: []string{"a", "bc"}},
		{embedded: embedded{"ab", "c"}}, {embedded: embedded{"a", "bc"}}, {Bytes: []byte{}}, {Bytes: []byte{0}},
		{Text: "a"}, {hidden: "a"}, {Pointer: &inner{}}, {Inner: inner{hidden: []int{}}}, {unseen: inner{hidden: []int{}}},
		{Header: map[string][]string{}}, {Header: map[string][]string{"A": nil}},
		{Header: map[string][]string{"A": {}}},
		{Header: map[string][]string{"A": {"B", "C"}}},
		{Header: map[string][]string{"A": {"B"}, "C": nil}},
		{Pins: [][32]byte{{1}, {2}}}, {Pins: [][32]byte{{2}, {1}}},
		{KeyPointer: &key{}}, {AnyKey: key{}}, {AnyKey: &key{}}, {AnyKey: (*key)(nil)},
		{self: &every{}}, {self: &every{self: &every{}}},
	} {
		sum := hashing.Fingerprint(settings)
		if before, has := seen[sum]; has {
			t.Errorf("settings %d and %d have one fingerprint", before, i)
		}
		seen[sum] = i
	}
}

// promoted gets its method from an embedded field, so its other field would be left out.
type promoted struct {
	key
	Forgotten string
}

func TestPanicsForWhatItCannotRead(t *testing.T) {
	type ring struct{ Next *ring }
	loop := &ring{}
	loop.Next = loop
	for name, test := range map[string]struct {
		settings any
		want     string
	}{
		"a function":                       {struct{ Call func() }{}, ".Call"},
		"a channel":                        {struct{ Done chan int }{}, ".Done"},
		"an interface":                     {struct{ Any any }{}, ".Any"},
		"a function in an empty list":      {struct{ Calls []func() }{}, ".Calls[]"},
		"a function behind a nil pointer":  {struct{ P *struct{ F func() } }{}, ".P[].F"},
		"an interface in a map":            {struct{ M map[string]any }{}, ".M[]"},
		"an interface as the key of a map": {struct{ M map[any]string }{}, ".M[key]"},
		"an unknown tag": {struct {
			A int `fingerprint:"omit"`
		}{}, `"omit"`},
		"an empty tag": {struct {
			A int `fingerprint:""`
		}{}, `""`},
		"the presence of a number": {struct {
			A int `fingerprint:"set"`
		}{}, `"set"`},
		"a method that is promoted": {struct{ P promoted }{}, ".P"},
		"a ring":                    {loop, "contains itself"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, test.want) {
					t.Errorf("the panic says %s, want %s", text, test.want)
				}
			}()
			hashing.Fingerprint(test.settings)
		})
	}
}
