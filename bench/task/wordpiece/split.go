package wordpiece

// words calls yield for every word of a normalised text: what is between
// white space, with each punctuation mark a word of its own.
func words(text []rune, yield func(word []rune)) {
	start := 0
	for i, r := range text {
		space := isSpace(r)
		if !space && !isPunctuation(r) {
			continue
		}
		if i > start {
			yield(text[start:i])
		}
		if !space {
			yield(text[i : i+1])
		}
		start = i + 1
	}
	if start < len(text) {
		yield(text[start:])
	}
}
