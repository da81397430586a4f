package task

import (
	"slices"
	"testing"
)

const synsets4 = "  1 This is the licence.\n" +
	"00001740 03 n 01 entity 0 000 | that which is perceived; \"a b\"  \n" + // dev
	"00001930 03 n 01 physical_entity 0 000 | an entity | with a bar  \n" + // train
	"15300051 28 n 01 9/11 0 000 | the day in 2001  \n" // train

func TestWordNet(t *testing.T) {
	// FNV-1a modulo 10 is 1, 6 and 9, by another program.
	for offset, want := range map[string]string{"00001740": Dev, "00001930": Train, "00006024": Train} {
		if got := wordNetSplit(offset); got != want {
			t.Errorf("synset %s is in %s, want %s", offset, got, want)
		}
	}
	task := open(t, Config{Name: "wordnet", Path: writeFiles(t, map[string]string{"data.noun": synsets4})})
	if len(task.Labels) != 26 || task.Labels[0] != "noun.Tops" || task.Labels[25] != "noun.time" {
		t.Errorf("labels %q", task.Labels)
	}
	var texts []string
	labels := map[string]string{}
	for _, split := range []string{Train, Dev, Test} {
		d, err := task.Load(split)
		if err != nil {
			wantError(t, err, "the "+split+" split is empty")
			continue
		}
		for _, ex := range all(t, d) {
			texts = append(texts, ex.Text)
			labels[ex.Text] = task.Labels[ex.Label]
		}
	}
	if len(texts) != 3 || labels["the day in 2001"] != "noun.time" || labels["an entity | with a bar"] != "noun.Tops" || labels[`that which is perceived; "a b"`] != "noun.Tops" {
		t.Errorf("texts %q with labels %q", texts, labels)
	}

	for line, want := range map[string]string{
		"0000174 03 n | x":             "no 8-digit offset",
		"00001740 29 n 01 x 0 000 | y": `file number "29"`,
		"00001740 xx n 01 x 0 000 | y": `file number "xx"`,
		"00001740 03 n 01 x 0 000 ":    "no gloss",
	} {
		path := writeFiles(t, map[string]string{"data.noun": synsets4 + line + "\n"}) + "/data.noun"
		_, err := open(t, Config{Name: "wordnet", Path: path}).Load(Train)
		wantError(t, err, path+": line 5: "+want)
	}
	_, err := open(t, Config{Name: "wordnet", Path: "/nowhere"}).Load(Train)
	wantError(t, err, "WordNet is not at /nowhere", "install the Debian package wordnet-base")
}

// TestWordNetWords adds each synset's own words to the training split alone.
func TestWordNetWords(t *testing.T) {
	path := writeFiles(t, map[string]string{"data.noun": synsets4 +
		"00006024 05 n 02 dog 0 domestic_dog 0 001 @ 00001740 n 0000 | a pet  \n"})
	with := open(t, Config{Name: "wordnet", Path: path, Words: true})
	var texts []string
	d, err := with.Load(Train)
	if err != nil {
		t.Fatal(err)
	}
	for _, ex := range all(t, d) {
		texts = append(texts, ex.Text+" "+with.Labels[ex.Label])
	}
	want := []string{"an entity | with a bar noun.Tops", "physical entity noun.Tops", "the day in 2001 noun.time", "9/11 noun.time",
		"a pet noun.animal", "dog, domestic dog noun.animal"}
	if !slices.Equal(texts, want) {
		t.Errorf("texts %q", texts)
	}
	if d, err := with.Load(Dev); err != nil || d.Len() != 1 {
		t.Errorf("dev has more than its gloss (%v)", err)
	}
	for _, line := range []string{"00001930 03 n zz x 0 000 | y", "00001930 03 n 05 x 0 | y", "00001930 03 n | y", "00001930 03 n 00 000 | y"} {
		path := writeFiles(t, map[string]string{"data.noun": line + "\n"}) + "/data.noun"
		_, err := open(t, Config{Name: "wordnet", Path: path, Words: true}).Load(Train)
		wantError(t, err, path+": line 1: no list of words")
	}
	_, err = Open(Config{Name: "fashion-mnist", Words: true})
	wantError(t, err, "words = true is for the task wordnet alone")
}
