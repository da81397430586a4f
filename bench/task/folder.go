package task

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"optin/bench/task/metric"
	"optin/bench/task/picture"
)

// openImageFolder is a user's own pictures: a folder for each split, in it a
// folder for each label, in it JPEG and PNG files.
func openImageFolder(cfg Config) (*Task, error) {
	f := folder{cfg: cfg, root: orDefault(cfg.Path, filepath.Join("data", "images"))}
	f.remedy = "make folders train, dev and test, each with one folder of JPEG or PNG files per label, and set path to where they are"
	labels := cfg.Labels
	if len(labels) == 0 {
		dir, err := f.anySplit()
		if err != nil {
			return nil, err
		}
		if labels, err = classFolders(dir); err != nil {
			return nil, err
		}
	} else if err := unique(labels); err != nil {
		return nil, err
	}
	return f.task(labels, labels), nil
}

// openImageNet is ImageNet-1k as class folders named by WordNet id, as
// torchvision and timm keep it: val (used as dev and test) and train. The
// classes are the folders in order; LOC_synset_mapping.txt of the official
// archive, where it is beside them, names them all, so that val may hold only
// some of the folders.
func openImageNet(cfg Config) (*Task, error) {
	f := folder{cfg: cfg, root: orDefault(cfg.Path, filepath.Join("data", "imagenet"))}
	f.remedy = "get ImageNet-1k from https://image-net.org, sort val into one folder per WordNet id (n01440764, ...), and set path to the folder above val"
	ids, names, err := readSynsets(filepath.Join(f.root, "LOC_synset_mapping.txt"))
	if err != nil {
		return nil, err
	}
	if ids == nil {
		dir, err := f.anySplit()
		if err != nil {
			return nil, err
		}
		if ids, err = classFolders(dir); err != nil {
			return nil, err
		}
		names = ids
	}
	return f.task(ids, names), nil
}

// folder is a tree of split folders of class folders.
type folder struct {
	cfg    Config
	root   string
	remedy string
}

// task is the task of the class folders, whose labels have the given names.
func (f folder) task(folders, labels []string) *Task {
	return &Task{
		Kind: Picture, Labels: labels, Metrics: []string{metric.Accuracy},
		load: func(split string) (*Dataset, error) {
			dir, err := f.split(split)
			if err != nil {
				return nil, err
			}
			d, err := loadFolder(dir, folders)
			if err == nil && filepath.Base(dir) != split && f.named(split) == "" {
				d.Notes = append(d.Notes, fmt.Sprintf("the %s split is the folder %s: there is no other", split, dir))
			}
			return d, err
		},
	}
}

// split is the folder of a split: the one named, else train, dev or test;
// val stands in for dev, and dev and test for one another.
func (f folder) split(split string) (string, error) {
	named := f.named(split)
	tries := []string{named}
	if named == "" {
		tries = map[string][]string{Train: {"train"}, Dev: {"dev", "val", "test"}, Test: {"test", "val", "dev"}}[split]
	}
	for i, name := range tries {
		if !filepath.IsAbs(name) {
			tries[i] = filepath.Join(f.root, name)
		}
		dir := tries[i]
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir, nil
		}
	}
	return "", fmt.Errorf("the %s split is not at %s: %s", split, tries[0], f.remedy)
}

// named is the folder that the config gives a split, if it does.
func (f folder) named(split string) string {
	return map[string]string{Train: f.cfg.Train, Dev: f.cfg.Dev, Test: f.cfg.Test}[split]
}

// anySplit is the first split there is.
func (f folder) anySplit() (dir string, err error) {
	for _, split := range []string{Train, Dev, Test} {
		if dir, err = f.split(split); err == nil {
			return dir, nil
		}
	}
	return "", err
}

// classFolders lists the folders in a folder, by name.
func classFolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if isFolder(dir, e) && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: no folders, want one for each label", dir)
	}
	return names, nil
}

// isFolder follows links, which large data sets are often made of.
func isFolder(dir string, e os.DirEntry) bool {
	if e.Type()&os.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(filepath.Join(dir, e.Name()))
	return err == nil && info.IsDir()
}

// loadFolder lists the pictures of a split, by label and name; they are
// decoded when they are asked for.
func loadFolder(dir string, folders []string) (*Dataset, error) {
	present, err := classFolders(dir)
	if err != nil {
		return nil, err
	}
	index := indexOf(folders)
	type file struct {
		path  string
		label int
	}
	var files []file
	stamp := sha256.New()
	for _, name := range present {
		label, ok := index[name]
		if !ok {
			return nil, fmt.Errorf("%s: folder %q is not one of the labels %s", dir, name, quoteSome(folders))
		}
		entries, err := os.ReadDir(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if isPicture(e.Name()) {
				path := filepath.Join(dir, name, e.Name())
				info, err := os.Stat(path)
				if err != nil {
					return nil, err
				}
				if !info.Mode().IsRegular() { // a pipe would be waited for
					return nil, fmt.Errorf("%s has the name of a picture, but is no file: remove it", path)
				}
				fmt.Fprintf(stamp, "%q %d %d %d\n", path, label, info.Size(), info.ModTime().UnixNano())
				files = append(files, file{path, label})
			}
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no .jpg, .jpeg or .png files in its folders", dir)
	}
	sort.SliceStable(files, func(i, j int) bool { return files[i].label < files[j].label })
	return &Dataset{Files: fmt.Sprintf("%x", stamp.Sum(nil)), n: len(files), example: func(i int) (Example, error) {
		m, err := picture.Open(files[i].path)
		return Example{Image: m, Label: files[i].label}, err
	}}, nil
}

// isPicture reports whether a file's name is one of a picture. ImageNet's
// files are .JPEG.
func isPicture(name string) bool {
	return !strings.HasPrefix(name, ".") &&
		slices.Contains([]string{".jpg", ".jpeg", ".png"}, strings.ToLower(filepath.Ext(name)))
}

// readSynsets reads lines of a WordNet id and the class's name; nothing where
// there is no such file.
func readSynsets(path string) (ids, names []string, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for n, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		id, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if id == "" || name == "" {
			return nil, nil, fmt.Errorf("%s: line %d: want a WordNet id and a name, as in \"n01440764 tench, Tinca tinca\"", path, n+1)
		}
		ids, names = append(ids, id), append(names, strings.TrimSpace(name))
	}
	return ids, names, unique(ids)
}
