package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"optin/bench/model"
	"optin/kernels"
	"optin/kernels/cpu"
)

// devices are those that training is tested on.
func devices(t *testing.T) map[string]kernels.Device {
	fast, err := cpu.New(cpu.Options{Threads: 2, Guard: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fast.Close() })
	return map[string]kernels.Device{"ref": reference(t, 2), "cpu": fast}
}

// TestOverfit learns a few random examples by heart, in every kind of model.
func TestOverfit(t *testing.T) {
	names := []string{"bert-odd", "vit-gray-patch5", "bert-basic", "bert-regression", "deit-basic", "deit-distilled"}
	for device, dev := range devices(t) {
		list := names
		if device == "ref" {
			list = names[:2] // it is slow
		}
		for _, name := range list {
			t.Run(device+"/"+name, func(t *testing.T) {
				s := quick(func(s *Settings) {
					s.Batch, s.Epochs, s.Rate, s.Schedule, s.Average, s.Smoothing, s.Warmup = 6, 60, 5e-3, Linear, 0, 0, 0.1
				})
				tr := trainer(t, dev, name, 6, s, nil)
				points := advance(t, tr, tr.Steps())
				if first, last := points[0].Loss, points[len(points)-1].Loss; !(last < first/20) {
					t.Errorf("loss was %v and is %v", first, last)
				}
			})
		}
	}
}

// TestGradients compares the gradients of a whole step, through varied inputs,
// both heads, mixing and a teacher, with differences of its loss.
func TestGradients(t *testing.T) {
	text := func(s *Settings) { s.Mask, s.MaskWeight, s.Distill = 0.4, 0.3, 0.5 }
	picture := func(s *Settings) {
		s.Mixup, s.Crop, s.Flip, s.Tokens, s.Distill, s.Full = 0.5, 1, true, 5, 0.5, 0
	}
	for name, change := range map[string]func(*Settings){
		"bert-odd": text, "bert-regression": text, "deit-distilled": picture, "vit-basic": picture,
	} {
		t.Run(name, func(t *testing.T) {
			s := quick(func(s *Settings) { change(s); s.Lanes = 2 })
			to := func(j *Job) { j.Teacher = teacher(t, name) }
			tr := trainer(t, reference(t, 2), name, 5, s, to)
			gradient := gradients(t, tr)
			checkGradients(t, tr, gradient)
			s.Recompute = true
			for i, g := range gradients(t, trainer(t, reference(t, 2), name, 5, s, to)) {
				if !(math.Abs(g-gradient[i]) < 1e-9) {
					t.Fatalf("gradient %d is %v, with recomputation %v", i, gradient[i], g)
				}
			}
		})
	}
}

// teacher is a model of the same kind with other values.
func teacher(t *testing.T, name string) model.Model {
	t.Helper()
	s := begin(t, name, func(o *Opening) { o.Random, o.Seed, o.Spread = true, 99, 0.3 })
	m, err := model.New(s.Config, s.Params)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// gradients are those of a training's first step.
func gradients(t *testing.T, tr *Trainer) []float64 {
	t.Helper()
	used, _, err := tr.gradients(tr.batch(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.collect(used); err != nil {
		t.Fatal(err)
	}
	return tr.read(t, tr.vectors.gradient[0])
}

// checkGradients compares some of each parameter's gradients with differences.
func checkGradients(t *testing.T, tr *Trainer, gradient []float64) {
	t.Helper()
	largest := 0.0
	for _, g := range gradient {
		largest = max(largest, math.Abs(g))
	}
	if largest == 0 {
		t.Fatal("all gradients are 0")
	}
	const h = 1e-4
	b := tr.batch(1)
	for i, s := range tr.vectors.layout.slots {
		at := s.from + i%s.len
		up, down := tr.lossMoved(t, b, at, h), tr.lossMoved(t, b, at, -h)
		if want := (up - down) / (2 * h); !(math.Abs(want-gradient[at]) < 1e-5*largest) {
			t.Errorf("%s[%d]: gradient %v, difference %v", s.name, at-s.from, gradient[at], want)
		}
	}
}

// read is a vector on the host.
func (tr *Trainer) read(t *testing.T, v *kernels.Tensor) []float64 {
	t.Helper()
	all := make([]float64, v.Len())
	if err := tr.dev.One(context.Background(), func(ops kernels.Ops) error { ops.Download(v, all); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// lossMoved is the loss of a batch with one parameter moved by h.
func (tr *Trainer) lossMoved(t *testing.T, b *batch, at int, h float64) float64 {
	t.Helper()
	one := tr.vectors.params.Slice(at, at+1)
	var before *kernels.Tensor
	err := tr.dev.One(context.Background(), func(ops kernels.Ops) error {
		var err error
		if before, err = tr.dev.Alloc(kernels.F32, 1, 1); err != nil {
			return err
		}
		ops.Copy(before, &one)
		ops.Copy(&one, ops.Add(&one, ops.Upload(1, 1, []float32{float32(h)})))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, loss, err := tr.gradients(b)
	if err != nil {
		t.Fatal(err)
	}
	err = tr.dev.One(context.Background(), func(ops kernels.Ops) error { ops.Copy(&one, before); return nil })
	if err != nil {
		t.Fatal(err)
	}
	tr.dev.Free(before)
	return loss
}

// TestWorkers trains with one, two and three workers to the same bits.
func TestWorkers(t *testing.T) {
	for _, name := range []string{"bert-basic", "deit-basic"} {
		s := quick(func(s *Settings) {
			s.Batch = 100
			if name == "bert-basic" {
				s.Mask, s.MaskWeight = 0.2, 0.2
			} else {
				s.Mixup, s.Crop, s.Tokens = 0.3, 1, 6
			}
		})
		var first *Trainer
		for _, workers := range []int{1, 2, 3} {
			dev, err := cpu.New(cpu.Options{Threads: workers})
			if err != nil {
				t.Fatal(err)
			}
			tr := trainer(t, dev, name, 200, s, nil)
			t.Cleanup(func() { tr.Close(); dev.Close() })
			if parts := len(tr.batch(1).ends); parts != s.Lanes {
				t.Fatalf("%d micro-batches for %d lanes", parts, s.Lanes)
			}
			advance(t, tr, 3)
			if first == nil {
				first = tr
				continue
			}
			same(t, fmt.Sprintf("%s, %d workers", name, workers), first, tr)
		}
	}
}

// TestLanes reaches the same gradients with one lane and with four.
func TestLanes(t *testing.T) {
	var first []float64
	for _, lanes := range []int{1, 4} {
		s := quick(func(s *Settings) { s.Batch, s.Lanes = 90, lanes })
		got := gradients(t, trainer(t, reference(t, 2), "bert-basic", 90, s, nil))
		if first == nil {
			first = got
		}
		for i, g := range got {
			if !(math.Abs(g-first[i]) < 1e-12) {
				t.Fatalf("%d lanes: gradient %d is %v, with one %v", lanes, i, g, first[i])
			}
		}
	}
}

// TestRecompute reaches the same parameters either way, up to rounding, and needs
// less memory one way: ref's is counted by the tensor, and by one worker, since what
// several hold at once depends on when they run.
func TestRecompute(t *testing.T) {
	tested := devices(t)
	tested["ref"] = reference(t, 1)
	for device, dev := range tested {
		plain := trainer(t, dev, "bert-basic", 24, quick(nil), nil)
		again := trainer(t, dev, "bert-basic", 24, quick(func(s *Settings) { s.Recompute = true }), nil)
		memory := func(tr *Trainer) (points []Point, bytes int64) {
			dev.ResetPeak()
			before := dev.PeakBytes()
			points = advance(t, tr, 3)
			return points, dev.PeakBytes() - before
		}
		a, all := memory(plain)
		b, some := memory(again)
		t.Logf("%s: %d bytes, with recomputation %d", device, all, some)
		if device == "ref" && !(some < all*3/4) {
			t.Errorf("%d bytes, with recomputation %d", all, some)
		}
		for i := range a {
			if d := math.Abs(a[i].Loss - b[i].Loss); !(d < 1e-4) {
				t.Errorf("%s: step %d: losses %v and %v", device, i+1, a[i].Loss, b[i].Loss)
			}
		}
	}
}

// TestForeignTeacher distils from teachers that cut pictures into other rows, or
// take shorter texts.
func TestForeignTeacher(t *testing.T) {
	distil := func(s *Settings) { s.Distill = 0.5 }
	advance(t, trainer(t, reference(t, 1), "deit-basic", 6, quick(distil), func(j *Job) { j.Teacher = teacher(t, "vit-basic") }), 1)
	short := trainer(t, reference(t, 1), "bert-basic", 6, quick(distil), func(j *Job) {
		j.Teacher = teacher(t, "bert-basic")
		j.Teacher.Config().Positions = 2
	})
	if _, err := short.Next(); err == nil || !strings.Contains(err.Error(), "teacher: a text of ") || !strings.Contains(err.Error(), "set max_length") {
		t.Errorf("a teacher of few positions: %v", err)
	}
}

// TestAverage follows the average of the parameters on the host.
func TestAverage(t *testing.T) {
	tr := trainer(t, reference(t, 1), "bert-basic", 12, quick(nil), nil)
	want := tr.read(t, tr.vectors.params)
	for step := 1; step <= 2; step++ {
		advance(t, tr, 1)
		keep := min(0.9, float64(step)/float64(step+10))
		for i, w := range tr.read(t, tr.vectors.params) {
			want[i] = keep*want[i] + (1-keep)*w
		}
	}
	for i, got := range tr.read(t, tr.vectors.average) {
		if !(math.Abs(got-want[i]) < 1e-6) {
			t.Fatalf("average %d is %v, want %v", i, got, want[i])
		}
	}
	if slices.Equal(values(t, tr.model), values(t, tr.Model())) {
		t.Error("the model is not the average")
	}
}

// TestClip bounds how far a step moves the parameters when the gradient is huge,
// and not when it is small.
func TestClip(t *testing.T) {
	for _, c := range []struct{ clip, scale float64 }{{1e-3, 1}, {0, 1}, {1e9, 1}} {
		s := quick(func(s *Settings) { s.Clip, s.Beta1, s.LayerDecay = c.clip, 0, 1 })
		tr := trainer(t, reference(t, 1), "bert-basic", 12, s, nil)
		p := advance(t, tr, 1)[0]
		sum := 0.0
		for _, m := range tr.read(t, tr.vectors.first) { // with Beta1 = 0 the gradient as it was used
			sum += m * m
		}
		want := p.Norm
		if c.clip > 0 {
			want = min(want, c.clip)
		}
		if got := math.Sqrt(sum); !(math.Abs(got-want) < 1e-5*want) {
			t.Errorf("clip %v: the gradient's norm is %v, used was %v, want %v", c.clip, p.Norm, got, want)
		}
	}
}

// TestNotFinite stops with the step and what to do, before the parameters are
// touched.
func TestNotFinite(t *testing.T) {
	tr := trainer(t, reference(t, 1), "bert-regression", 12, quick(nil), func(j *Job) {
		data := j.Data.(examples)
		data.list[3].Target = math.Inf(1)
	})
	before := values(t, tr.model)
	_, err := tr.Next()
	if err == nil || !strings.Contains(err.Error(), "step 1: the loss is") || !strings.Contains(err.Error(), "check the weights of the model") {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(before, values(t, tr.model)) {
		t.Error("the parameters moved")
	}
	tr.done = 1
	if _, err := tr.Next(); err == nil || !strings.Contains(err.Error(), "step 2: the loss is") || !strings.Contains(err.Error(), "lower rate") {
		t.Errorf("error %v", err)
	}
}

// TestRefuses checks the messages for jobs that make no sense.
func TestRefuses(t *testing.T) {
	dev := reference(t, 1)
	for want, c := range map[string]struct {
		name string
		set  func(*Settings)
		job  func(*Job)
	}{
		"there are no examples":                       {"bert-basic", nil, func(j *Job) { j.Data = examples{} }},
		"there is no teacher":                         {"bert-basic", func(s *Settings) { s.Distill = 0.5 }, nil},
		"tokens is 16, but a picture has 16":          {"deit-basic", func(s *Settings) { s.Tokens = 16 }, nil},
		"are for pictures":                            {"bert-basic", func(s *Settings) { s.Flip = true }, nil},
		"are for texts":                               {"deit-basic", func(s *Settings) { s.Mask = 0.1 }, nil},
		"mask hides none":                             {"bert-basic", func(s *Settings) { s.MaskWeight = 0.1 }, nil},
		"crop is 16, which moves pictures of 16 x 16": {"deit-basic", func(s *Settings) { s.Crop = 16 }, nil},
		"the tokenizer has no [MASK]":                 {"bert-basic", func(s *Settings) { s.Mask = 0.1 }, func(j *Job) { j.Vocabulary = nil }},
		"epochs is 1e+300, which makes 1e+300 steps":  {"bert-basic", func(s *Settings) { s.Epochs = 1e300 }, nil},
		"a batch of 0 examples":                       {"bert-basic", func(s *Settings) { s.Batch = 0 }, nil},
		"the teacher's type is deit":                  {"bert-basic", func(s *Settings) { s.Distill = 1 }, func(j *Job) { j.Teacher = teacher(t, "deit-basic") }},
		"the teacher's number of labels is 1":         {"bert-basic", func(s *Settings) { s.Distill = 1 }, func(j *Job) { j.Teacher = teacher(t, "bert-regression") }},
	} {
		job := Job{Start: begin(t, c.name, nil), Settings: quick(c.set)}
		job.Data, job.Vocabulary = random(job.Start.Config, 4, 1), &Vocabulary{}
		if c.job != nil {
			c.job(&job)
		}
		if _, err := New(context.Background(), dev, job); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
