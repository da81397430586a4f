package wordpiece_test

import (
	"fmt"
	"log"

	"optin/bench/task/wordpiece"
)

func ExampleTokenizer_EncodePair() {
	vocab := map[string]int32{}
	for i, entry := range []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "prune", "##d", "head", "##s", "?", "yes"} {
		vocab[entry] = int32(i)
	}
	tok, err := wordpiece.New(vocab, wordpiece.Options{
		Flags: wordpiece.Flags{CleanText: true, Chinese: true, StripAccents: true, LowerCase: true},
	})
	if err != nil {
		log.Fatal(err)
	}
	e, err := tok.EncodePair("Pruned heads?", "Yès", 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.IDs)
	fmt.Println(e.TypeIDs)
	// Output:
	// [2 4 5 6 7 8 3 9 3]
	// [0 0 0 0 0 0 0 1 1]
}
