package checkpoint

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
)

// pickled concatenates opcodes; an int becomes BININT, a []int a tuple.
func pickled(parts ...any) []byte {
	b := []byte{0x80, 2}
	for _, part := range parts {
		switch p := part.(type) {
		case string:
			b = append(b, p...)
		case int:
			b = binary.LittleEndian.AppendUint32(append(b, 'J'), uint32(p))
		case []int:
			b = append(b, '(')
			for _, n := range p {
				b = binary.LittleEndian.AppendUint32(append(b, 'J'), uint32(n))
			}
			b = append(b, 't')
		}
	}
	return append(b, '.')
}

// text is the BINUNICODE of a short ASCII string.
func text(s string) string { return "X" + string([]byte{byte(len(s)), 0, 0, 0}) + s }

const orderedDict = "ccollections\nOrderedDict\n)R"

// tensorPickle is the state dict {"w": tensor} with a float storage data/0 of count elements.
func tensorPickle(count, offset int, shape, stride []int) []byte {
	return pickled("}", text("w"), "ctorch._utils\n_rebuild_tensor_v2\n(",
		"(", text("storage"), "ctorch\nFloatStorage\n", text("0"), text("cpu"), count, "tQ",
		offset, shape, stride, "\x89", orderedDict, "tR", "s")
}

func TestUnpickleValues(t *testing.T) {
	for _, c := range []struct {
		name    string
		program []byte
		want    any
	}{
		{"BININT1", pickled("K\xff"), int64(255)},
		{"BININT2", pickled("M\xff\xff"), int64(65535)},
		{"BININT", pickled(-2), int64(-2)},
		{"LONG1 of nothing", pickled("\x8a\x00"), int64(0)},
		{"LONG1 negative", pickled("\x8a\x02\x00\xff"), int64(-256)},
		{"LONG1 positive", pickled("\x8a\x08\x01\x00\x00\x00\x00\x00\x00\x40"), int64(1<<62 + 1)},
		{"BINFLOAT", pickled("G\x3f\xf0\x00\x00\x00\x00\x00\x00"), 1.0},
		{"NEWTRUE", pickled("\x88"), true},
		{"NONE", pickled("N"), none{}},
		{"TUPLE2", pickled("K\x01K\x02\x86"), tuple{int64(1), int64(2)}},
		{"TUPLE", pickled("K\x09(K\x01t"), tuple{int64(1)}},
		{"memo", pickled("K\x07q\x05K\x08\x86q\x06h\x05\x86"), nil},
		{"APPEND and APPENDS", pickled("]K\x01a(K\x02K\x03e"), &list{[]any{int64(1), int64(2), int64(3)}}},
		{"Size", pickled("ctorch\nSize\n", []int{2, 3}, "\x85R"), tuple{int64(2), int64(3)}},
		{"attributes", pickled("}}", text("_metadata"), "K\x01sb"), &dict{}},
		{"dict", pickled("}(", text("a"), "K\x01", text("b"), "Nu"), &dict{[]string{"a", "b"}, map[string]any{"a": int64(1), "b": none{}}}},
	} {
		got, err := unpickle(c.program)
		if c.name == "memo" {
			c.want = tuple{tuple{int64(7), int64(8)}, int64(7)}
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %#v, %v; want %#v", c.name, got, err, c.want)
		}
	}
}

func TestUnpickleParameter(t *testing.T) {
	inner := tensorPickle(4, 1, []int{2}, []int{1})
	inner = inner[strings.Index(string(inner), "ctorch._utils") : len(inner)-2]
	got, err := unpickle(pickled("ctorch._utils\n_rebuild_parameter\n", string(inner), "\x88", orderedDict, "\x87R"))
	want := storedTensor{storage{"0", F32, 4}, 1, view{[]int{2}, []int{1}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%#v, %v", got, err)
	}
}

func TestUnpickleRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		program []byte
		want    string
	}{
		{"nothing", nil, "ends too early"},
		{"STOP on empty stack", pickled(""), "not there"},
		{"call of a program", pickled("cos\nsystem\n", text("rm"), "\x85R"), `"os.system"`},
		{"builtin", pickled("c__builtin__\neval\n"), `"__builtin__.eval"`},
		{"name without end", pickled("cos"), "ends too early"},
		{"name in pieces", pickled("ctorch._utils\n_rebuild_tensor\n"), `"torch._utils._rebuild_tensor"`},
		{"STACK_GLOBAL", pickled("\x93"), "opcode 0x93"},
		{"INST", pickled("(ios\nsystem\n"), "opcode 0x69"},
		{"extension registry", pickled("\x82\x01"), "opcode 0x82"},
		{"NEWOBJ", pickled("ccollections\nOrderedDict\n)\x81"), "opcode 0x81"},
		{"long string", pickled("X\xff\xff\xff\xff"), "ends too early"},
		{"long integer", pickled("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00"), "integer of 9 bytes"},
		{"memo never stored", pickled("h\x07"), "memo 7"},
		{"memo of nothing", pickled("q\x07"), "not there"},
		{"pop past the mark", pickled("K\x01(\x85"), "not there"},
		{"mark missing", pickled("K\x01t"), "not there"},
		{"deep marks", pickled(strings.Repeat("(", maxPickleMarks+1)), "nested"},
		{"endless", pickled(strings.Repeat("N", maxPickleOpcodes)), "opcodes"},
		{"key that is no text", pickled("}K\x01Ns"), "no string"},
		{"key twice", pickled("}", text("k"), "Ns", text("k"), "Ns"), `"k" appears twice`},
		{"key without value", pickled("}(", text("k"), "u"), "key without value"},
		{"item on a tuple", pickled(")", text("k"), "Ns"), "no dictionary"},
		{"append to a tuple", pickled(")Na"), "no list"},
		{"attributes on a tuple", pickled("))b"), "no dictionary"},
		{"call of a number", pickled("K\x01)R"), "no function"},
		{"call of a class of storages", pickled("ctorch\nFloatStorage\n)R"), "no function"},
		{"arguments that are no tuple", pickled("ccollections\nOrderedDict\nNR"), "no function"},
		{"OrderedDict of something", pickled("ccollections\nOrderedDict\nN\x85R"), "want none"},
		{"tensor without arguments", pickled("ctorch._utils\n_rebuild_tensor_v2\n)R"), "want 6 or 7"},
		{"parameter of a number", pickled("ctorch._utils\n_rebuild_parameter\nK\x01NN\x87R"), "no tensor"},
		{"storage that is none", pickled("K\x01Q"), "no storage"},
		{"storage of a negative size", tensorPickle(-1, 0, nil, nil), "unknown type, name or size"},
		{"rank 65", tensorPickle(4, 0, make([]int, 65), make([]int, 65)), "at most 64"},
	} {
		_, err := unpickle(c.program)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// FuzzUnpickle runs arbitrary programs, alone and as part of an archive.
func FuzzUnpickle(f *testing.F) {
	f.Add(tensorPickle(4, 1, []int{3}, []int{1}))
	f.Add(tensorPickle(4, 0, []int{2, 2}, []int{1, 2}))
	f.Add(pickled("}(", text("a"), "K\x01q\x01", text("b"), "h\x01u}b"))
	f.Add(pickled("]q\x00h\x00aK\x01K\x02\x86\x8a\x02\x00\xffG12345678"))
	f.Add(pickled("cos\nsystem\n", text("rm"), "\x85R"))
	f.Fuzz(func(t *testing.T, program []byte) {
		v, err := unpickle(program)
		if err == nil && v == nil {
			t.Fatal("neither value nor error")
		}
		if entries, err := readTorch(inMemory(torchZip(t, program, le32(1, 2, 3, 4)))); err == nil {
			readAll(t, entries)
		}
	})
}
