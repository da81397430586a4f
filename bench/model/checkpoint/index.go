package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// openShards reads the index file at c.path and takes each tensor from the shard that the index names.
func (c *Checkpoint) openShards(read reader) error {
	shardOf, err := readIndex(c.path)
	if err != nil {
		return err
	}
	shards := map[string]map[string]entry{}
	for name, shard := range shardOf {
		if shards[shard] == nil {
			if shards[shard], err = c.openShard(shard, read); err != nil {
				return err
			}
		}
		e, ok := shards[shard][name]
		if !ok {
			return damaged(c.path, name, "listed in %q, which does not hold it", clip(shard))
		}
		c.entries[name] = e
	}
	return nil
}

// openShard opens one file named in the index at c.path.
func (c *Checkpoint) openShard(shard string, read reader) (map[string]entry, error) {
	if !filepath.IsLocal(shard) {
		return nil, damaged(c.path, "", "shard %q lies outside the model directory", clip(shard))
	}
	file, err := openFile(filepath.Join(filepath.Dir(c.path), shard))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &FormatError{File: c.path, Problem: "shard \"" + clip(shard) + "\" is missing",
			Remedy: "download every file that the index lists into this directory"}
	} else if err != nil {
		return nil, err
	}
	c.files = append(c.files, file)
	return read(file)
}

// readIndex returns the file name of each tensor that the index lists.
func readIndex(path string) (map[string]string, error) {
	file, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if file.size > maxHeaderBytes {
		return nil, damaged(path, "", "%d bytes are too many for an index (at most %d)", file.size, int64(maxHeaderBytes))
	}
	text := make([]byte, file.size)
	if _, err := file.ReadAt(text, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	shardOf := map[string]string{}
	found := false
	err = eachMember(text, func(key string, value *jsonValue) error {
		if key != "weight_map" {
			return value.skip()
		}
		found = true
		return value.members(func(name string, value *jsonValue) error {
			shard, err := value.string()
			shardOf[name] = shard
			return err
		})
	})
	switch {
	case err != nil:
		return nil, damaged(path, "", "the index is not valid: %v", err)
	case !found || len(shardOf) == 0:
		return nil, damaged(path, "", "the index lists no tensors (key weight_map)")
	}
	return shardOf, nil
}
