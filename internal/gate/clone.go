package gate

import (
	"fmt"
	"reflect"
)

// clone copies the configuration with all that lies below it, so that what the gate keeps is the gate's alone. What a
// field with the tag clone:"shared" points to is shared: it is immutable, or meant to be one for all. What is behind an
// interface or a function is shared, too. So are fields that are not exported: they are not ours to copy.
func (c Config) clone() Config { return cloned(reflect.ValueOf(c)).Interface().(Config) }

func cloned(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Struct:
		return clonedStruct(v)
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(cloned(v.Index(i)))
		}
		return out
	case reflect.Array:
		out := reflect.New(v.Type()).Elem()
		for i := range v.Len() {
			out.Index(i).Set(cloned(v.Index(i)))
		}
		return out
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(cloned(v.Elem()))
		return out
	case reflect.Map, reflect.Chan, reflect.UnsafePointer:
		panic(fmt.Sprintf("gate: a configuration cannot be copied with a %s in it; copy it here, or tag it", v.Type()))
	default:
		return v
	}
}

func clonedStruct(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	for i := range v.NumField() {
		if field := v.Type().Field(i); field.IsExported() && field.Tag.Get("clone") != "shared" {
			out.Field(i).Set(cloned(v.Field(i)))
		}
	}
	return out
}
