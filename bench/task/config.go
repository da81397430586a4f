package task

// Config is the [task] table of an experiment: a data set and how to read it.
// Only Name is needed for what is built in; the keys from Format on describe a
// user's own data.
type Config struct {
	// Name of the task; Names lists them.
	Name string `toml:"name"`
	// Path of the folder, or for the task text of the folder its files are in.
	// Default: the folder of the Debian package (fashion-mnist, wordnet), else
	// data/NAME, for GLUE data/glue/NAME with the official folder's name.
	Path string `toml:"path"`
	// MaxLength is the number of tokens after which a text is truncated,
	// special tokens included. Default 128, or what the model takes if that is
	// less.
	MaxLength int `toml:"max_length"`
	// Metrics, the headline first. Default: the task's own; accuracy for a
	// user's labels, pearson and spearman for a regression.
	Metrics []string `toml:"metrics"`
	// Labels in the order of the model's outputs. Needed only where the
	// model's config.json names its outputs LABEL_0, LABEL_1, ... in another
	// order than the task's. Default for a user's data: the labels found in
	// the training split, sorted (by number if all are numbers).
	Labels []string `toml:"labels"`

	// Format of a user's text: "tsv", "csv" or "jsonl". Default: by the file's
	// extension. TSV has no quoting: every tab separates.
	Format string `toml:"format"`
	// Train, Dev and Test are the files, or for image-folder the folders, of
	// the splits, relative to Path. Defaults: train, dev and test with the
	// extension .tsv, .csv or .jsonl; for image-folder and imagenet also val.
	Train string `toml:"train"`
	Dev   string `toml:"dev"`
	Test  string `toml:"test"`
	// Text, TextPair and Label are column names (or, with NoHeader, numbers
	// from 1). Defaults "text", none and "label".
	Text     string `toml:"text"`
	TextPair string `toml:"text_pair"`
	Label    string `toml:"label"`
	// NoHeader says that the first line is data. Default false.
	NoHeader bool `toml:"no_header"`
	// Regression says that the label is a number to predict. Default false.
	Regression bool `toml:"regression"`

	// Words adds to the training split of wordnet an example for every synset's
	// own words ("dog, domestic dog"), with the label of its gloss. Default
	// false.
	Words bool `toml:"words"`
}
