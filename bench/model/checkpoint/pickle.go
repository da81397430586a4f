package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Limits of the pickle machine, far above what the state dict of any model needs (about 60 opcodes a tensor).
const (
	maxPickleBytes   = 64 << 20
	maxPickleOpcodes = 1 << 21
	maxPickleMarks   = 1000
)

// pickleMachine runs the part of pickle protocol 2 that state dicts consist of. Protocol 2 is a stack machine: opcodes push
// values, marks note positions on the stack, a memo keeps values for later. What can be built is listed in picklevalue.go.
// Every opcode costs a bounded amount of memory, and their number is bounded, so no input can exhaust it.
type pickleMachine struct {
	rest  []byte // input not yet consumed
	stack []any
	marks []int // stack heights
	memo  map[uint32]any
}

// unpickle returns the value that a pickle describes.
func unpickle(data []byte) (any, error) {
	m := &pickleMachine{rest: data, memo: map[uint32]any{}}
	for range maxPickleOpcodes {
		at := len(data) - len(m.rest)
		done, err := m.step()
		if err != nil {
			return nil, fmt.Errorf("byte %d: %w", at, err)
		}
		if done {
			return m.pop()
		}
	}
	return nil, fmt.Errorf("more than %d opcodes", maxPickleOpcodes)
}

var (
	errPickleEnds  = errors.New("the pickle ends too early")
	errPickleStack = errors.New("the pickle takes a value that is not there")
)

// step executes one opcode and reports whether it was the last.
func (m *pickleMachine) step() (done bool, err error) {
	op, err := m.take(1)
	if err != nil {
		return false, err
	}
	switch op[0] {
	case '.': // STOP
		return true, nil
	case 0x80: // PROTO
		return false, m.protocol()
	case '(': // MARK
		if len(m.marks) >= maxPickleMarks {
			return false, fmt.Errorf("values nested more than %d deep", maxPickleMarks)
		}
		m.marks = append(m.marks, len(m.stack))
	case 'N': // NONE
		m.push(none{})
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		m.push(op[0] == 0x88)
	case 'K', 'M', 'J', 0x8a: // BININT1, BININT2, BININT, LONG1
		return false, m.integer(op[0])
	case 'G': // BINFLOAT
		b, err := m.take(8)
		if err != nil {
			return false, err
		}
		m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	case 'X': // BINUNICODE
		return false, m.unicode()
	case 'c': // GLOBAL
		return false, m.global()
	case 'q', 'r', 'h', 'j': // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
		return false, m.remember(op[0])
	case ')': // EMPTY_TUPLE
		m.push(tuple(nil))
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		items, err := m.popN(int(op[0]) - 0x84)
		m.push(tuple(items))
		return false, err
	case 't': // TUPLE
		items, err := m.popMark()
		m.push(tuple(items))
		return false, err
	case ']': // EMPTY_LIST
		m.push(&list{})
	case 'a', 'e': // APPEND, APPENDS
		return false, m.appendItems(op[0] == 'e')
	case '}': // EMPTY_DICT
		m.push(&dict{})
	case 's', 'u': // SETITEM, SETITEMS
		return false, m.setItems(op[0] == 'u')
	case 'Q': // BINPERSID
		return false, m.replaceTop(newStorage)
	case 'R': // REDUCE
		return false, m.reduce()
	case 'b': // BUILD: sets attributes, of which a state dict has none that matter
		if _, err := m.pop(); err != nil {
			return false, err
		}
		if _, ok := m.top().(*dict); !ok {
			return false, errors.New("attributes set on something that is no dictionary")
		}
	default:
		return false, fmt.Errorf("opcode %#02x, which no state dict needs", op[0])
	}
	return false, nil
}

// protocol reads the version; later protocols have opcodes that torch.save never writes unless asked to.
func (m *pickleMachine) protocol() error {
	b, err := m.take(1)
	if err == nil && b[0] > 2 {
		err = fmt.Errorf("pickle protocol %d, but PyTorch writes 2", b[0])
	}
	return err
}

// integer pushes a little-endian integer.
func (m *pickleMachine) integer(op byte) error {
	width := map[byte]int{'K': 1, 'M': 2, 'J': 4}[op]
	if op == 0x8a {
		b, err := m.take(1)
		if err != nil {
			return err
		}
		if width = int(b[0]); width > 8 {
			return fmt.Errorf("an integer of %d bytes", width)
		}
	}
	b, err := m.take(width)
	if err != nil {
		return err
	}
	var wide [8]byte
	copy(wide[:], b)
	n := int64(binary.LittleEndian.Uint64(wide[:]))
	if signed := op == 'J' || op == 0x8a; signed && width > 0 {
		unused := 64 - 8*width
		n = n << unused >> unused
	}
	m.push(n)
	return nil
}

// unicode pushes a string.
func (m *pickleMachine) unicode() error {
	b, err := m.take(4)
	if err != nil {
		return err
	}
	text, err := m.take(int(binary.LittleEndian.Uint32(b)))
	if err != nil {
		return err
	}
	m.push(string(text))
	return nil
}

// global pushes a Python function or class, if it is one of the few that a state dict may name.
func (m *pickleMachine) global() error {
	var names [2]string
	for i := range names {
		end := bytes.IndexByte(m.rest, '\n')
		if end < 0 {
			return errPickleEnds
		}
		names[i] = string(m.rest[:end])
		m.rest = m.rest[end+1:]
	}
	g, err := lookUpGlobal(names[0], names[1])
	m.push(g)
	return err
}

// remember stores the top of the stack in the memo, or pushes what is stored there.
func (m *pickleMachine) remember(op byte) error {
	width := 1
	if op == 'r' || op == 'j' {
		width = 4
	}
	b, err := m.take(width)
	if err != nil {
		return err
	}
	var wide [4]byte
	copy(wide[:], b)
	slot := binary.LittleEndian.Uint32(wide[:])
	if op == 'q' || op == 'r' {
		if m.memo[slot] = m.top(); m.memo[slot] == nil {
			return errPickleStack
		}
		return nil
	}
	v, ok := m.memo[slot]
	if !ok {
		return fmt.Errorf("memo %d was never stored", slot)
	}
	m.push(v)
	return nil
}

// appendItems adds one value, or all above the mark, to the list below.
func (m *pickleMachine) appendItems(marked bool) error {
	items, err := m.popGroup(marked, 1)
	if err != nil {
		return err
	}
	l, ok := m.top().(*list)
	if !ok {
		return errors.New("items appended to something that is no list")
	}
	l.items = append(l.items, items...)
	return nil
}

// setItems adds one key and value, or all above the mark, to the dictionary below.
func (m *pickleMachine) setItems(marked bool) error {
	items, err := m.popGroup(marked, 2)
	if err != nil {
		return err
	}
	d, ok := m.top().(*dict)
	if !ok || len(items)%2 != 0 {
		return errors.New("items set on something that is no dictionary, or a key without value")
	}
	for i := 0; i < len(items); i += 2 {
		if err := d.set(items[i], items[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// reduce calls the global below the top with the tuple on top as its arguments.
func (m *pickleMachine) reduce() error {
	both, err := m.popN(2)
	if err != nil {
		return err
	}
	f, isGlobal := both[0].(global)
	args, isTuple := both[1].(tuple)
	if !isGlobal || !isTuple {
		return errors.New("a call of something that is no function")
	}
	v, err := f.call(args)
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	m.push(v)
	return nil
}

// replaceTop applies f to the top of the stack.
func (m *pickleMachine) replaceTop(f func(any) (any, error)) error {
	v, err := m.pop()
	if err != nil {
		return err
	}
	v, err = f(v)
	m.push(v)
	return err
}

// take consumes n bytes of input.
func (m *pickleMachine) take(n int) ([]byte, error) {
	if n < 0 || n > len(m.rest) {
		return nil, errPickleEnds
	}
	b := m.rest[:n]
	m.rest = m.rest[n:]
	return b, nil
}

func (m *pickleMachine) push(v any) { m.stack = append(m.stack, v) }

// base is the height below which opcodes may not reach: the last mark.
func (m *pickleMachine) base() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

// top returns the top of the stack, nil if it is empty.
func (m *pickleMachine) top() any {
	if len(m.stack) == m.base() {
		return nil
	}
	return m.stack[len(m.stack)-1]
}

func (m *pickleMachine) pop() (any, error) {
	v, err := m.popN(1)
	if err != nil {
		return nil, err
	}
	return v[0], nil
}

// popN removes the n topmost values and returns them, lowest first.
func (m *pickleMachine) popN(n int) ([]any, error) {
	keep := len(m.stack) - n
	if keep < m.base() {
		return nil, errPickleStack
	}
	items := append([]any(nil), m.stack[keep:]...)
	m.stack = m.stack[:keep]
	return items, nil
}

// popMark removes the last mark and the values above it.
func (m *pickleMachine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, errPickleStack
	}
	items, err := m.popN(len(m.stack) - m.base())
	m.marks = m.marks[:len(m.marks)-1]
	return items, err
}

// popGroup removes n values, or all above the mark.
func (m *pickleMachine) popGroup(marked bool, n int) ([]any, error) {
	if marked {
		return m.popMark()
	}
	return m.popN(n)
}
