package experiment

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// convert makes a value that TOML knows one of the type of a key.
func convert(v any, to reflect.Type) (any, bool) {
	switch v := v.(type) {
	case string:
		switch to.Kind() {
		case reflect.String:
			return v, true
		case reflect.Slice: // one text where a list of them may stand
			return convert([]any{v}, to)
		}
	case bool:
		return v, to.Kind() == reflect.Bool
	case float64:
		return v, to.Kind() == reflect.Float64
	case int64:
		switch to.Kind() {
		case reflect.Int:
			return int(v), int64(int(v)) == v
		case reflect.Uint64:
			return uint64(v), v >= 0
		case reflect.Float64:
			return float64(v), true
		case reflect.Slice:
			return convert([]any{v}, to)
		}
	case []any:
		if to.Kind() != reflect.Slice {
			return nil, false
		}
		list := reflect.MakeSlice(to, 0, len(v))
		for _, item := range v {
			typed, ok := convert(item, to.Elem())
			if !ok {
				return nil, false
			}
			list = reflect.Append(list, reflect.ValueOf(typed))
		}
		return list.Interface(), true
	}
	return nil, false
}

// describe says what a value is, for a message that wants another.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return "the text " + literal(v)
	case bool:
		return "the switch " + literal(v)
	case int64, float64:
		return "the number " + literal(v)
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	case time.Time:
		return "a date"
	}
	return fmt.Sprintf("a %T", v)
}

// literal writes a value as TOML does, always in the same way: what is hashed
// and what is shown.
func literal(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	if list := reflect.ValueOf(v); list.IsValid() && list.Kind() == reflect.Slice {
		items := make([]string, list.Len())
		for i := range items {
			items[i] = literal(list.Index(i).Interface())
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprint(v)
}
