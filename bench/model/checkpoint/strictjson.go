package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
)

// jsonValue is the position in front of one value of a JSON text. encoding/json alone will not do: it lets a repeated key
// overwrite the first and rounds or defaults what has the wrong type.
type jsonValue struct{ dec *json.Decoder }

// eachMember calls visit for every member of the object that text consists of.
func eachMember(text []byte, visit func(key string, value *jsonValue) error) error {
	if !utf8.Valid(text) {
		return errors.New("not UTF-8 text")
	}
	v := &jsonValue{json.NewDecoder(bytes.NewReader(text))}
	v.dec.UseNumber()
	if err := v.members(visit); err != nil {
		return err
	}
	if _, err := v.dec.Token(); err != io.EOF {
		return errors.New("text after the closing brace")
	}
	return nil
}

// members calls visit for every member of an object; visit must consume the value. A repeated key is an error.
func (v *jsonValue) members(visit func(key string, value *jsonValue) error) error {
	if err := v.delim('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for v.dec.More() {
		key, err := v.string()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("%q appears twice", clip(key))
		}
		seen[key] = true
		if err := visit(key, v); err != nil {
			return err
		}
	}
	return v.delim('}')
}

// sizes reads an array of integers that are not negative.
func (v *jsonValue) sizes() ([]int, error) {
	if err := v.delim('['); err != nil {
		return nil, err
	}
	var list []int
	for v.dec.More() {
		token, err := v.token()
		if err != nil {
			return nil, err
		}
		number, ok := token.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%s where a number is expected", show(token))
		}
		n, err := strconv.ParseUint(number.String(), 10, 64)
		if err != nil || n > math.MaxInt {
			return nil, fmt.Errorf("%s is not a size", clip(number.String()))
		}
		list = append(list, int(n))
	}
	return list, v.delim(']')
}

// string reads a string.
func (v *jsonValue) string() (string, error) {
	token, err := v.token()
	if err != nil {
		return "", err
	}
	s, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("%s where a string is expected", show(token))
	}
	return s, nil
}

// skip passes over a value of any kind.
func (v *jsonValue) skip() error {
	var ignored json.RawMessage
	return v.end(v.dec.Decode(&ignored))
}

// delim consumes one bracket or brace.
func (v *jsonValue) delim(want json.Delim) error {
	token, err := v.token()
	if err == nil && token != want {
		err = fmt.Errorf("%s where %q is expected", show(token), want.String())
	}
	return err
}

// token reads the next token, which must exist.
func (v *jsonValue) token() (json.Token, error) {
	token, err := v.dec.Token()
	return token, v.end(err)
}

// end words the end of the text as the error it is.
func (v *jsonValue) end(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the text ends too early")
	}
	return err
}

// show words a token for a message.
func show(token json.Token) string {
	if s, ok := token.(string); ok {
		return strconv.Quote(clip(s))
	}
	return clip(fmt.Sprint(token))
}
