package hashing

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"
)

// Fingerprinter is a type that makes its own fingerprint, for example a key from its thumbprint.
type Fingerprinter interface{ Fingerprint() [32]byte }

// Fingerprint identifies everything in the settings, secrets included: two values of one type have the same fingerprint
// only if they are alike. It is made when a configuration is loaded. It is of no use to another process.
//
// It walks structs, pointers, lists and maps, and includes every field, exported or not. So a new field cannot be
// forgotten. A tag can make an exception for a field:
//
//	fingerprint:"-"    it is left out; the comment beside it says why
//	fingerprint:"set"  only whether it is nil counts: for functions, channels and interfaces
//
// A Fingerprinter inside of the settings is asked for its fingerprint instead of being walked. Nil and empty lists
// differ. A time.Time counts as an instant, whatever its zone. The settings may be given by a pointer.
//
// It panics when the type of the settings has a part that it cannot read: a function, channel or interface without a
// tag, or an unknown tag. That depends on the type alone, so one call in a test is enough to rule it out. It also
// panics when the settings contain themselves.
func Fingerprint(settings any) [32]byte {
	v := reflect.Indirect(reflect.ValueOf(settings)) // its own method is not asked: it may be the caller
	of := v.Type()
	if problem := readable(of, of.String(), nil); problem != "" {
		panic("hashing: " + problem)
	}
	w := walker{NewWriter("fingerprint"), 0}
	w.Text(of.PkgPath())
	w.Text(of.String())
	w.inside(addressable(v))
	return w.Sum()
}

const (
	out     = "-" // values of the tag
	onlySet = "set"

	// maxDepth ends the walk when settings contain themselves.
	maxDepth = 64
)

var (
	fingerprinter = reflect.TypeFor[Fingerprinter]()
	instant       = reflect.TypeFor[time.Time]()
)

// readable says which part of a type cannot be read. It is empty when every part can.
func readable(t reflect.Type, path string, above []reflect.Type) string {
	if slices.Contains(above, t) {
		return ""
	}
	below := append(slices.Clip(above), t)
	if len(above) > 0 && saysItself(t) {
		if embeds(t) {
			return fmt.Sprintf("%s: the method Fingerprint may be that of %s or of a type that it embeds", path, t)
		}
		return ""
	}
	if t == instant {
		return ""
	}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			field := t.Field(i)
			inner := path + "." + field.Name
			switch says, tagged := field.Tag.Lookup("fingerprint"); {
			case tagged && says == out, tagged && says == onlySet && canBeNil(field.Type):
			case tagged:
				return fmt.Sprintf("%s: the tag fingerprint:%q is unknown, or not for a %s", inner, says, field.Type)
			default:
				if problem := readable(field.Type, inner, below); problem != "" {
					return problem
				}
			}
		}
		return ""
	case reflect.Map:
		if problem := readable(t.Key(), path+"[key]", below); problem != "" {
			return problem
		}
		return readable(t.Elem(), path+"[]", below)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return readable(t.Elem(), path+"[]", below)
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return ""
	}
	return fmt.Sprintf("%s: a %s cannot be part of a fingerprint; give the field a tag", path, t)
}

// saysItself reports whether a variable of the type is a Fingerprinter.
func saysItself(t reflect.Type) bool {
	if t.Kind() == reflect.Interface {
		return t.Implements(fingerprinter)
	}
	return reflect.PointerTo(t).Implements(fingerprinter)
}

// embeds reports whether a struct may have its method from an embedded field, which would leave out all other fields.
func embeds(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous && (field.Type.Implements(fingerprinter) || saysItself(field.Type)) {
			return true
		}
	}
	return false
}

func canBeNil(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.Interface, reflect.Pointer, reflect.Slice, reflect.Map:
		return true
	}
	return false
}

// addressable returns a copy whose fields can be read even if they are not exported.
func addressable(v reflect.Value) reflect.Value {
	copied := reflect.New(v.Type()).Elem()
	copied.Set(v)
	return copied
}

type walker struct {
	Writer
	depth int
}

// value adds a value inside of the settings, which may be a Fingerprinter.
func (w *walker) value(v reflect.Value) {
	if w.depth++; w.depth > maxDepth {
		panic(fmt.Sprintf("hashing: a %s contains itself", v.Type()))
	}
	defer func() { w.depth-- }()
	switch {
	case v.Kind() == reflect.Interface: // a Fingerprinter, see readable
		w.dynamic(v)
	case v.Addr().Type().Implements(fingerprinter):
		sum := v.Addr().Interface().(Fingerprinter).Fingerprint()
		w.Bytes(sum[:])
	case v.Type() == instant:
		t := v.Interface().(time.Time)
		w.Number(uint64(t.Unix()))
		w.Number(uint64(t.Nanosecond()))
	default:
		w.inside(v)
	}
}

// dynamic adds the type and the fingerprint of what an interface holds.
func (w *walker) dynamic(v reflect.Value) {
	w.Flag(!v.IsNil())
	if v.IsNil() {
		return
	}
	held := v.Elem()
	w.Text(held.Type().PkgPath())
	w.Text(held.Type().String())
	isNil := canBeNil(held.Type()) && held.IsNil()
	w.Flag(!isNil)
	if !isNil {
		sum := v.Interface().(Fingerprinter).Fingerprint()
		w.Bytes(sum[:])
	}
}

// inside adds a value of a readable kind.
func (w *walker) inside(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		w.Flag(v.Bool())
	case reflect.String:
		w.Text(v.String())
	case reflect.Float32, reflect.Float64:
		w.Number(math.Float64bits(v.Float()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		w.Number(uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		w.Number(v.Uint())
	case reflect.Struct:
		w.fields(v)
	case reflect.Array:
		w.elements(v)
	case reflect.Pointer:
		if w.Flag(!v.IsNil()); !v.IsNil() {
			w.value(v.Elem())
		}
	case reflect.Slice:
		if w.Flag(!v.IsNil()); !v.IsNil() {
			w.elements(v)
		}
	case reflect.Map:
		if w.Flag(!v.IsNil()); !v.IsNil() {
			w.entries(v)
		}
	}
}

func (w *walker) fields(v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Tag.Get("fingerprint") == out {
			continue
		}
		w.Text(field.Name)
		value := v.Field(i)
		if field.Tag.Get("fingerprint") == onlySet {
			w.Flag(!value.IsNil())
			continue
		}
		w.value(reflect.NewAt(value.Type(), value.Addr().UnsafePointer()).Elem())
	}
}

func (w *walker) elements(v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 && !saysItself(v.Type().Elem()) {
		w.Bytes(v.Bytes())
		return
	}
	w.Number(uint64(v.Len()))
	for i := range v.Len() {
		w.value(v.Index(i))
	}
}

// entries adds the entries of a map, sorted by their hashes: a map itself has no order.
func (w *walker) entries(v reflect.Value) {
	var sums [][]byte
	for iter := v.MapRange(); iter.Next(); {
		entry := walker{NewWriter("fingerprint of an entry"), w.depth}
		entry.value(addressable(iter.Key()))
		entry.value(addressable(iter.Value()))
		sum := entry.Sum()
		sums = append(sums, sum[:])
	}
	slices.SortFunc(sums, bytes.Compare)
	w.Number(uint64(len(sums)))
	for _, sum := range sums {
		w.Bytes(sum)
	}
}
