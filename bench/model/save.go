package model

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"optin/bench/disk"
	"optin/bench/model/checkpoint"
)

// companions are the files beside the weights that belong to a model whatever
// its size.
func companions() []string {
	return []string{"vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
		"added_tokens.json", "preprocessor_config.json"}
}

// Save writes m as a Hugging Face directory: config.json, model.safetensors in
// the types it was read in, and the tokenizer's and preprocessor's files of the
// directory it came from. Files appear whole or not at all; config.json comes
// last, so that a directory with a config.json is complete. A model that was
// there before stays until the new one's weights are on the disk.
func Save(m Model, dir, from string, metadata map[string]string) error {
	if err := MakeFolder(dir, from); err != nil {
		return err
	}
	var sources []checkpoint.Source
	for _, name := range m.Params().Names() {
		p := m.Params().Get(name)
		sources = append(sources, checkpoint.Source{Name: p.Name, DType: p.DType, Shape: p.Shape, Float32: p.Read})
	}
	text, err := m.Config().JSON()
	if err != nil {
		return err
	}
	config := filepath.Join(dir, ConfigFile)
	return disk.Write(config, func(w io.Writer) error { // takes its room first, and its name last
		if _, err := w.Write(text); err != nil {
			return err
		}
		err := checkpoint.Replace(filepath.Join(dir, checkpoint.SafetensorsFile), sources, metadata, func() error { return remove(config) })
		if err != nil {
			return err
		}
		for _, name := range companions() {
			if err := copyFile(filepath.Join(dir, name), filepath.Join(from, name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// MakeFolder makes dir for [Save], unless it is there, and refuses one where a
// file of another model would be taken for this one's. Callers with long work
// ahead of them find out early that they could not write its result.
func MakeFolder(dir, from string) error {
	if same(dir, from) {
		return fmt.Errorf("%s: is the model that is read; choose another folder to write to", dir)
	}
	for _, name := range companions() {
		if exists(filepath.Join(dir, name)) && !exists(filepath.Join(from, name)) {
			return fmt.Errorf("%s: is another model's, for %s has none; remove it, or choose another folder to write to", filepath.Join(dir, name), from)
		}
	}
	return disk.MakeFolder(dir)
}

// remove removes a file that may not be there.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// copyFile copies from to path; a file that is not there is no error.
func copyFile(path, from string) error {
	src, err := os.Open(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer src.Close()
	return disk.Write(path, func(w io.Writer) error {
		_, err := io.Copy(w, src)
		return err
	})
}
