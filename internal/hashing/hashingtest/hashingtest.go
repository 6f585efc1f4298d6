// Package hashingtest checks that no field of a configuration is missing from its fingerprint.
package hashingtest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/hashing"
)

var fingerprinter = reflect.TypeFor[hashing.Fingerprinter]()

// EveryField changes each field of base, one after the other, and fails the test for a field that does not change the
// fingerprint. It skips fields with the tag fingerprint:"-". It also changes fields inside of pointers, lists and maps,
// in a new value where base has none. In a type that makes its own fingerprint, one field that counts is enough: the
// rest is for that type's own test. Interfaces must be set in base.
func EveryField[T any](tb testing.TB, base T, fingerprint func(T) [32]byte) {
	tb.Helper()
	settings := reflect.New(reflect.TypeFor[T]()).Elem()
	settings.Set(reflect.ValueOf(base))
	v := visitor{tb: tb, sum: func() [32]byte { return fingerprint(settings.Interface().(T)) }}
	if first, second := v.sum(), v.sum(); first != second {
		tb.Errorf("the fingerprint of %s changes by itself", settings.Type())
	}
	v.visit(settings.Type().String(), settings, "")
	if v.fields == 0 {
		tb.Errorf("%s has no fields: nothing was checked", settings.Type())
	}
}

type visitor struct {
	tb     testing.TB
	sum    func() [32]byte
	above  []reflect.Type
	fields int
	any    *bool // set: whether a change has shown, and one is enough
}

// visit changes a value and everything inside of it. When it returns, all is as before.
func (v *visitor) visit(path string, at reflect.Value, tag string) {
	v.tb.Helper()
	if slices.Contains(v.above, at.Type()) {
		return
	}
	v.above = append(v.above, at.Type())
	defer func() { v.above = v.above[:len(v.above)-1] }()
	before := reflect.New(at.Type()).Elem()
	before.Set(at)
	defer at.Set(before)
	if tag == "set" {
		v.change(path, at, present(at))
		return
	}
	if v.any == nil && len(v.above) > 1 && reflect.PointerTo(at.Type()).Implements(fingerprinter) {
		below := visitor{tb: v.tb, sum: v.sum, any: new(bool)}
		if below.visit(path, at, ""); !*below.any {
			v.tb.Errorf("%s is not part of the fingerprint", path)
		}
		return
	}
	switch at.Kind() {
	case reflect.Struct:
		if t, ok := at.Interface().(time.Time); ok {
			v.change(path, at, reflect.ValueOf(t.Add(1)))
			return
		}
		v.visitStruct(path, at)
	case reflect.Pointer:
		if at.IsNil() {
			v.change(path, at, reflect.New(at.Type().Elem()))
		}
		fresh := reflect.New(at.Type().Elem())
		if !before.IsNil() {
			fresh.Elem().Set(before.Elem())
		}
		at.Set(fresh)
		v.visit(path, at.Elem(), "")
	case reflect.Slice:
		longer := reflect.MakeSlice(at.Type(), at.Len()+1, at.Len()+1)
		reflect.Copy(longer, at)
		v.change(path, at, longer)
		at.Set(longer)
		v.visit(path+"[]", at.Index(at.Len()-1), "")
	case reflect.Array:
		for i := range at.Len() {
			v.visit(fmt.Sprintf("%s[%d]", path, i), at.Index(i), "")
		}
	case reflect.Map:
		v.visitMap(path, at)
	case reflect.Interface:
		v.change(path, at, present(at))
	default:
		v.change(path, at, other(at))
	}
}

func (v *visitor) visitStruct(path string, at reflect.Value) {
	v.tb.Helper()
	for i := range at.NumField() {
		field := at.Type().Field(i)
		tag := field.Tag.Get("fingerprint")
		if tag == "-" {
			continue
		}
		v.fields++
		inner := at.Field(i)
		v.visit(path+"."+field.Name, reflect.NewAt(inner.Type(), inner.Addr().UnsafePointer()).Elem(), tag)
	}
}

// visitMap adds an entry, and changes its key and its value.
func (v *visitor) visitMap(path string, at reflect.Value) {
	v.tb.Helper()
	with := func(key, value reflect.Value) reflect.Value {
		m := reflect.MakeMap(at.Type())
		for iter := at.MapRange(); iter.Next(); {
			m.SetMapIndex(iter.Key(), iter.Value())
		}
		m.SetMapIndex(key, value)
		return m
	}
	key, value := reflect.New(at.Type().Key()).Elem(), reflect.New(at.Type().Elem()).Elem()
	larger := with(key, value)
	v.change(path, at, larger)
	if changed := other(key); changed.IsValid() {
		renamed := with(changed, value)
		at.Set(larger)
		v.change(path+"[key]", at, renamed)
	}
	below := visitor{tb: v.tb, above: v.above, any: v.any, sum: func() [32]byte {
		at.Set(with(key, value))
		return v.sum()
	}}
	below.visit(path+"[]", value, "")
}

// change fails when the fingerprint stays the same with another value. The value is as before when it returns.
func (v *visitor) change(path string, at, to reflect.Value) {
	v.tb.Helper()
	if v.any != nil && (*v.any || !to.IsValid()) {
		return
	}
	if !to.IsValid() {
		v.tb.Errorf("%s: no test knows another %s; set one in the base", path, at.Type())
		return
	}
	before := reflect.New(at.Type()).Elem()
	before.Set(at)
	was := v.sum()
	at.Set(to)
	switch shown := v.sum() != was; {
	case v.any != nil:
		*v.any = shown
	case !shown:
		v.tb.Errorf("%s is not part of the fingerprint; if it need not be, tag it fingerprint:\"-\" and say why", path)
	}
	at.Set(before)
}

// present gives nil for a value that is set, and one that is set for nil.
func present(at reflect.Value) reflect.Value {
	if !at.IsNil() {
		return reflect.Zero(at.Type())
	}
	switch at.Kind() {
	case reflect.Func:
		return reflect.MakeFunc(at.Type(), func([]reflect.Value) []reflect.Value { panic("only its presence counts") })
	case reflect.Chan:
		return reflect.MakeChan(at.Type(), 0)
	case reflect.Pointer:
		return reflect.New(at.Type().Elem())
	case reflect.Slice:
		return reflect.MakeSlice(at.Type(), 0, 0)
	case reflect.Map:
		return reflect.MakeMap(at.Type())
	}
	return reflect.Value{}
}

// other gives another value than a simple one.
func other(at reflect.Value) reflect.Value {
	changed := reflect.New(at.Type()).Elem()
	switch at.Kind() {
	case reflect.Bool:
		changed.SetBool(!at.Bool())
	case reflect.String:
		changed.SetString(at.String() + "x")
	case reflect.Float32, reflect.Float64:
		changed.SetFloat(at.Float() + 1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		changed.SetInt(at.Int() ^ 1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		changed.SetUint(at.Uint() ^ 1)
	default:
		return reflect.Value{}
	}
	return changed
}
