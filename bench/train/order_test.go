package train

import (
	"math/rand/v2"
	"slices"
	"testing"

	"optin/bench/model"
	"optin/bench/task"
)

// TestBatches shows every example once an epoch, in another order each, in
// batches of like size and, for texts, of like length.
func TestBatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	data := examples{config: &model.Config{ModelType: "bert"}}
	for range 103 {
		data.list = append(data.list, task.Encoded{IDs: make([]int32, 1+rng.IntN(40))})
	}
	s := &Settings{Batch: 10, Seed: 4}
	for _, text := range []bool{false, true} {
		list := s.batches(data, 0, text)
		if len(list) != 11 || s.stepsPerEpoch(103) != 11 {
			t.Fatalf("%d batches", len(list))
		}
		var all []int
		spread := 0
		for _, batch := range list {
			if len(batch) < 9 || len(batch) > 10 {
				t.Errorf("a batch of %d", len(batch))
			}
			all = append(all, batch...)
			shortest, longest := 99, 0
			for _, i := range batch {
				shortest, longest = min(shortest, data.Tokens(i)), max(longest, data.Tokens(i))
			}
			spread += longest - shortest
		}
		if text != (spread < 11*8) {
			t.Errorf("text %v: lengths within batches differ by %d together", text, spread)
		}
		if again := s.batches(data, 0, text); !slices.EqualFunc(list, again, slices.Equal) {
			t.Error("the same epoch has another order")
		}
		if next := s.batches(data, 1, text); slices.EqualFunc(list, next, slices.Equal) {
			t.Error("the next epoch has the same order")
		}
		slices.Sort(all)
		for i, example := range all {
			if i != example {
				t.Fatal("not every example once")
			}
		}
	}
}

// TestCut covers all examples, in as many parts as there are lanes, or multiples
// of them, and of about equal rows.
func TestCut(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 0))
	for range 300 {
		rows := make([]int, 1+rng.IntN(200))
		total, longest := 0, 0
		for i := range rows {
			rows[i] = 1 + rng.IntN(60)
			total += rows[i]
			longest = max(longest, rows[i])
		}
		lanes := 1 + rng.IntN(6)
		most := 512 << rng.IntN(3)
		ends := cut(rows, lanes, most)
		if ends[len(ends)-1] != len(rows) || !slices.IsSorted(ends) || len(slices.Compact(slices.Clone(ends))) != len(ends) {
			t.Fatalf("ends %v of %d", ends, len(rows))
		}
		if len(ends)%lanes != 0 && total >= lanes*lanes*leastRows && len(rows) >= 4*lanes {
			t.Fatalf("%d parts of %d rows for %d lanes", len(ends), total, lanes)
		}
		if n := min(len(ends), lanes); n > 1 && total < n*n*leastRows {
			t.Fatalf("%d parts of %d rows", len(ends), total)
		}
		from := 0
		for _, to := range ends {
			sum := 0
			for _, n := range rows[from:to] {
				sum += n
			}
			if sum > most+longest || sum > total/len(ends)+2*longest {
				t.Fatalf("a part of %d of %d rows in %d parts", sum, total, len(ends))
			}
			from = to
		}
	}
}

// TestStream draws other numbers for every argument.
func TestStream(t *testing.T) {
	seen := map[uint64]bool{}
	for _, args := range [][4]uint64{{1, 1, 0, 0}, {2, 1, 0, 0}, {1, 2, 0, 0}, {1, 1, 1, 0}, {1, 1, 0, 1}} {
		v := stream(args[0], purpose(args[1]), args[2], args[3]).Uint64()
		if seen[v] || v != stream(args[0], purpose(args[1]), args[2], args[3]).Uint64() {
			t.Errorf("%v", args)
		}
		seen[v] = true
	}
}
