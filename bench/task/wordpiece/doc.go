// Package wordpiece is the tokenizer of BERT: text in, the ids of Hugging
// Face's BertTokenizerFast out, id for id.
//
// A text passes five steps. Special tokens such as [MASK] are taken out as
// they stand. What is between them is normalised (control characters dropped,
// Chinese characters set apart, accents stripped, lower-cased, each as the
// checkpoint's flags say), cut into words at white space and punctuation, and
// every word is matched greedily, longest piece first. Then the sequence or
// pair is truncated, longest first, and framed as [CLS] a [SEP] b [SEP].
//
// The fast tokenizer sorts characters by tables of different Unicode versions
// (categories of version 8, combining classes of 9, lower case of the Rust
// release that built it), so tables.go holds its answers, code point by code
// point, rather than Go's. The golden under testdata sweeps all of Unicode.
//
// The package reads vocab.txt or tokenizer.json, with tokenizer_config.json,
// from a model's folder. It knows nothing of models or tasks.
package wordpiece
