package prune

import (
	"context"
	"path/filepath"
	"runtime"
	"testing"

	"optin/bench/model"
	"optin/kernels"
	"optin/kernels/cpu"
)

// Once a worker has scored one variant of a site, scoring another takes no
// memory: none from Go, and none for the arena.
func TestScoringAllocatesNothingInTheSteadyState(t *testing.T) {
	for _, name := range []string{"bert-basic", "vit-basic", "deit-distilled"} {
		t.Run("model="+name, func(t *testing.T) {
			m, closeModel, err := model.Open(filepath.Join("../model/testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			defer closeModel()
			dev, err := cpu.New(cpu.Options{Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer dev.Close()
			var allocs uint64
			var grown int64
			in := someInput(m)
			s := &scorer{dev: dev, m: m, batches: []*model.Input{in, in}, o: Options{Tau: 4, Rows: 1}}
			s.groups = group(s.batches, 0)
			s.entering, _ = s.groups.choose(s.o)
			defer s.close()
			if err := s.dense(context.Background()); err != nil {
				t.Fatal(err)
			}
			const site = 1
			c, err := s.capture(context.Background(), site, s.hidden[0])
			if err != nil {
				t.Fatal(err)
			}
			defer c.free(dev)
			c.units = s.chosen(site)
			bytes := dev.(interface{ ArenaBytes() int64 }).ArenaBytes
			err = dev.Each(context.Background(), 1, func(ops kernels.Ops, _ int) error {
				md, kd := make([]float64, 1), make([]float64, 1)
				score := func(u int) {
					mark := ops.Mark()
					s.workspace(ops).score(site, c, u, md, kd)
					ops.Release(mark)
				}
				score(0)
				score(1)
				var before, after runtime.MemStats
				arena := bytes()
				runtime.ReadMemStats(&before)
				for u := range 20 {
					score(u)
				}
				runtime.ReadMemStats(&after)
				allocs, grown = after.Mallocs-before.Mallocs, bytes()-arena
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			// Another goroutine of the test program may allocate now and then.
			if allocs > 5 || grown != 0 {
				t.Errorf("20 variants: %d Go allocations, arena grown by %d bytes", allocs, grown)
			}
		})
	}
}

func someInput(m model.Model) *model.Input {
	c := m.Config()
	if c.Text() {
		ids, types := [][]int32{{1, 2, 3, 4, 5}, {6, 7, 8}}, [][]int32{{0, 0, 0, 1, 1}, {0, 0, 0}}
		return model.Text(ids, types)
	}
	pixels := make([]float32, 2*c.Channels*c.ImageHeight*c.ImageWidth)
	for i := range pixels {
		pixels[i] = float32(i%7) - 3
	}
	return model.Images(c, pixels)
}
