package wordpiece

// longestFirst returns how many tokens of a pair stay when room is left for
// only that many, special tokens apart. The longer one gives way first; when
// both are cut, they share the room, and an odd token goes to the longer one,
// or to the second where they are equal.
func longestFirst(a, b, room int) (int, int) {
	if a+b <= room {
		return a, b
	}
	short := min(a, b)
	long := max(short, room-short)
	if short+long > room {
		short = room / 2
		long = short + room%2
	}
	if a > b {
		return long, short
	}
	return short, long
}
