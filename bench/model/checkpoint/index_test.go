package checkpoint

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// sharded writes two shards with tensors a and b, and an index file of the given text.
func sharded(t *testing.T, index string) string {
	t.Helper()
	dir := t.TempDir()
	for shard, s := range map[string]Source{
		"one.safetensors": constant("a", F32, []int{2}, 1, 2),
		"two.safetensors": constant("b", BF16, []int{1}, 3),
	} {
		if err := Write(filepath.Join(dir, shard), []Source{s}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, SafetensorsIndex), []byte(index), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestShards(t *testing.T) {
	dir := sharded(t, `{"metadata":{"total_size":10},"weight_map":{"b":"two.safetensors","a":"one.safetensors"}}`)
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, want := range map[string][]float32{"a": {1, 2}, "b": {3}} {
		if got, err := c.ReadFloat32(name); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s = %v, %v", name, got, err)
		}
	}
	if b, _ := c.Tensor("b"); b.File != filepath.Join(dir, "two.safetensors") {
		t.Errorf("b lies in %q", b.File)
	}
	if c.Path() != filepath.Join(dir, SafetensorsIndex) {
		t.Errorf("path %q", c.Path())
	}
}

func TestDamagedIndex(t *testing.T) {
	for _, c := range []struct {
		name, index string
		want        []string
	}{
		{"shard missing", `{"weight_map":{"a":"one.safetensors","b":"three.safetensors"}}`, []string{`"three.safetensors" is missing`, "every file"}},
		{"tensor absent", `{"weight_map":{"b":"one.safetensors"}}`, []string{`"b"`, `"one.safetensors", which does not hold it`}},
		{"parent directory", `{"weight_map":{"a":"../one.safetensors"}}`, []string{"outside the model directory"}},
		{"absolute path", `{"weight_map":{"a":"/etc/passwd"}}`, []string{"outside the model directory"}},
		{"hidden parent", `{"weight_map":{"a":"x/../../one.safetensors"}}`, []string{"outside the model directory"}},
		{"not JSON", `weights`, []string{"not valid"}},
		{"cut short", `{"weight_map":{"a":"one.saf`, []string{"not valid"}},
		{"no map", `{"metadata":{}}`, []string{"weight_map"}},
		{"empty map", `{"weight_map":{}}`, []string{"weight_map"}},
		{"map of numbers", `{"weight_map":{"a":1}}`, []string{"not valid", "string is expected"}},
		{"tensor twice", `{"weight_map":{"a":"one.safetensors","a":"two.safetensors"}}`, []string{`"a" appears twice`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(sharded(t, c.index))
			wantError(t, err, c.want...)
		})
	}
	t.Run("shard damaged", func(t *testing.T) {
		dir := sharded(t, `{"weight_map":{"a":"one.safetensors"}}`)
		if err := os.WriteFile(filepath.Join(dir, "one.safetensors"), []byte("damaged"), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir)
		wantError(t, err, "one.safetensors", "too few")
	})
}
