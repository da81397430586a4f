package task

// HiddenToken is the token that stands for one that a model is to guess, and
// those that are never hidden; ok is false where the tokenizer has none, or the
// model reads no text.
func (e *Encoder) HiddenToken() (mask int32, special []int32, ok bool) {
	if e.tok == nil {
		return 0, nil, false
	}
	for _, name := range []string{"[CLS]", "[SEP]", "[PAD]"} {
		if id, ok := e.tok.ID(name); ok {
			special = append(special, id)
		}
	}
	mask, ok = e.tok.ID("[MASK]")
	return mask, special, ok
}
