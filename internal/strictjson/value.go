package strictjson

import "iter"

// Kind is what a value is.
type Kind uint8

// The kinds of values. Only the zero Value is Invalid.
const (
	Invalid Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

var kindNames = [...]string{"nothing", "null", "boolean", "number", "string", "array", "object"}

// String is the kind's name, for messages.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Invalid]
}

// Value is one value inside of a valid text. It is as large as a string, and meant to be passed by value. It is
// immutable and safe for concurrent use. The zero Value has the kind Invalid and contains nothing.
type Value struct{ text string }

// Member is one member of an object.
type Member struct {
	Name  Value // of kind String
	Value Value
}

// Kind is what the value is.
func (v Value) Kind() Kind {
	if v.text == "" {
		return Invalid
	}
	switch v.text[0] {
	case '"':
		return String
	case '{':
		return Object
	case '[':
		return Array
	case 't', 'f':
		return Bool
	case 'n':
		return Null
	default:
		return Number
	}
}

// Text is the JSON text of the value as it was written, without white space around it. It shares memory with the text
// that was parsed.
func (v Value) Text() string { return v.text }

// Raw is a copy of the JSON text of the value as it was written.
func (v Value) Raw() []byte { return []byte(v.text) }

// Str is the content of a string, unescaped; ok is false for other kinds. It allocates only when there is something to
// unescape.
func (v Value) Str() (s string, ok bool) {
	if v.Kind() != String {
		return "", false
	}
	return unescape(v.text[1 : len(v.text)-1]), true
}

// Equal reports whether v is a string with the content s. It does not allocate.
func (v Value) Equal(s string) bool {
	return v.Kind() == String && equalUnescaped(v.text[1:len(v.text)-1], s)
}

// HasPrefix reports whether v is a string whose content begins with s, which must be UTF-8. It does not allocate.
func (v Value) HasPrefix(s string) bool {
	return v.Kind() == String && hasPrefixUnescaped(v.text[1:len(v.text)-1], s)
}

// HasSuffix reports whether v is a string whose content ends with s, which must be UTF-8. It does not allocate.
func (v Value) HasSuffix(s string) bool {
	return v.Kind() == String && hasSuffixUnescaped(v.text[1:len(v.text)-1], s)
}

// Bool is a boolean; ok is false for other kinds.
func (v Value) Bool() (value, ok bool) {
	if v.Kind() != Bool {
		return false, false
	}
	return v.text[0] == 't', true
}

// Elements are the elements of an array, in order. Other kinds have none.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) { v.elements(yield) }
}

// Members are the names and values of an object's members, in the order of the text. Other kinds have none.
func (v Value) Members() iter.Seq2[Value, Value] {
	return func(yield func(name, value Value) bool) { v.eachMember(yield) }
}

// Member is the value of the member with exactly this name, after unescaping. It does not allocate.
func (v Value) Member(name string) (value Value, ok bool) {
	if v.Kind() != Object {
		return Value{}, false
	}
	for n, value := range v.Members() {
		if n.Equal(name) {
			return value, true
		}
	}
	return Value{}, false
}

// Empty reports whether v is an array without elements, an object without members or a string without characters.
func (v Value) Empty() bool {
	switch v.Kind() {
	case String:
		return v.text == `""`
	case Array, Object:
		return skipSpace(v.text, 1) == len(v.text)-1
	default:
		return false
	}
}

func (v Value) elements(yield func(Value) bool) {
	if v.Kind() != Array {
		return
	}
	for i := skipSpace(v.text, 1); v.text[i] != ']'; {
		end := skipValue(v.text, i)
		if !yield(Value{v.text[i:end]}) {
			return
		}
		i = skipComma(v.text, end)
	}
}

func (v Value) eachMember(yield func(name, value Value) bool) {
	if v.Kind() != Object {
		return
	}
	for i := skipSpace(v.text, 1); v.text[i] != '}'; {
		nameEnd := skipString(v.text, i)
		start := skipSpace(v.text, skipSpace(v.text, nameEnd)+1)
		end := skipValue(v.text, start)
		if !yield(Value{v.text[i:nameEnd]}, Value{v.text[start:end]}) {
			return
		}
		i = skipComma(v.text, end)
	}
}

// Same reports whether two values are the same JSON: texts after unescaping, numbers in the same spelling, and objects
// whatever the order of their members.
func Same(a, b Value) bool {
	if a.text == b.text {
		return true
	}
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case String:
		text, _ := a.Str()
		return b.Equal(text)
	case Array:
		return sameElements(a, b)
	case Object:
		return sameMembers(a, b)
	default:
		return false
	}
}

func sameElements(a, b Value) bool {
	next, stop := iter.Pull(b.Elements())
	defer stop()
	for x := range a.Elements() {
		if y, more := next(); !more || !Same(x, y) {
			return false
		}
	}
	_, more := next()
	return !more
}

func sameMembers(a, b Value) bool {
	n := 0
	for name, x := range a.Members() {
		text, _ := name.Str()
		y, has := b.Member(text)
		if !has || !Same(x, y) {
			return false
		}
		n++
	}
	for range b.Members() {
		n--
	}
	return n == 0
}
