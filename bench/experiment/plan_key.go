package experiment

import (
	"fmt"
	"reflect"
	"slices"
)

// key is one key of an experiment file, bound to the field that it sets.
type key struct {
	table string // "" for those above the first table
	name  string
	doc   string

	dst       any    // pointer to the field
	standard  any    // value if the key is absent, of the field's type
	instead   string // what the documentation says of standard, if not its value
	language  any    // value if absent in mode reference; nil is standard
	vision    any    // value if absent in mode reference-vision; nil is standard
	rule      rule
	methods   []string    // of scoring that read it; nil is all
	when      func() bool // says whether it is read, by the keys that control others; nil is always
	controls  bool        // other keys are read or not by its value
	hasColumn bool        // in a record, so Variant need not name it
}

// option is a key that sets dst.
func option[T any](dst *T, table, name string, standard T, r rule) key {
	return key{table: table, name: name, dst: dst, standard: standard, rule: r}
}

func (k key) about(doc string) key       { k.doc = doc; return k }
func (k key) absent(words string) key    { k.instead = words; return k }
func (k key) only(methods ...string) key { k.methods = methods; return k }
func (k key) column() key                { k.hasColumn = true; return k }
func (k key) control() key               { k.controls = true; return k }
func (k key) where(read func() bool) key { k.when = read; return k }
func (k key) isList() bool               { return reflect.TypeOf(k.standard).Kind() == reflect.Slice }
func (k key) readBy(method string) bool {
	return (k.methods == nil || slices.Contains(k.methods, method)) && (k.when == nil || k.when())
}
func (k key) set(value any) { reflect.ValueOf(k.dst).Elem().Set(reflect.ValueOf(value)) }
func (k key) get() any      { return reflect.ValueOf(k.dst).Elem().Interface() }

// required reports whether the key has no default that could work.
func (k key) required() bool { return k.standard == "" && k.instead == "" && !k.rule.allows("") }

// inReference gives the values that the released code has for language and for
// vision.
func (k key) inReference(language, vision any) key {
	as := func(v any) any { return reflect.ValueOf(v).Convert(reflect.TypeOf(k.standard)).Interface() }
	k.language, k.vision = as(language), as(vision)
	return k
}

// path is the key's full name, such as "score.tau".
func (k key) path() string {
	if k.table == "" {
		return k.name
	}
	return k.table + "." + k.name
}

// fallback is the value of the key in a mode if the file does not set it.
func (k key) fallback(mode string) any {
	switch {
	case mode == Reference && k.language != nil:
		return k.language
	case mode == ReferenceVision && k.vision != nil:
		return k.vision
	}
	return k.standard
}

// values are what the file says of the key: more than one where a list makes a
// grid, none after a failure.
func (k key) values(src *source, e entry) []any {
	list, ok := e.value.([]any)
	if !ok || k.isList() {
		list = []any{e.value}
	}
	if len(list) == 0 {
		src.fail(e, "%s holds an empty list, want at least one value, such as %s", k.path(), k.example())
		return nil
	}
	var out []any
	for _, v := range list {
		typed, ok := convert(v, reflect.TypeOf(k.standard))
		if !ok {
			src.fail(e, "%s holds %s, want %s, such as %s", k.path(), describe(v), k.typeName(), k.example())
			return nil
		}
		if !k.rule.allows(typed) {
			src.fail(e, "%s is %s, want %s, such as %s", k.path(), literal(v), k.rule.want, k.example())
			return nil
		}
		out = append(out, typed)
	}
	return out
}

// example is a line that would be right.
func (k key) example() string { return fmt.Sprintf("%s = %s", k.name, literal(k.rule.example)) }

// typeName is what the key's values are, for people.
func (k key) typeName() string {
	switch k.standard.(type) {
	case string:
		return "a text in quotes"
	case bool:
		return "true or false"
	case float64:
		return "a number"
	case []string:
		return "a list of texts"
	case []int:
		return "a list of whole numbers"
	case uint64:
		return "a whole number of 0 or more"
	}
	return "a whole number"
}
