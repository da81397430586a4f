package experiment

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"optin/bench/measure"
	"optin/bench/model"
	"optin/bench/prune"
	"optin/bench/record"
	"optin/bench/task"
)

// engine is the state of one execution.
type engine struct {
	host   *Host
	plan   *Plan
	store  *store
	record *record.Record
	rows   int               // packed rows that micro-batches aim at
	facts  []string          // what every result depends on beside the plan
	fast   []string          // and what those of models that are evaluated or timed do
	names  map[string]string // of models in the record, see modelNames

	subjects  map[string]*Subject
	dense     map[string]*Evaluation              // by name of the model
	scored    map[string]bool                     // by hash: they are in the record
	derived   map[string]shared[*prune.Gradients] // of masks, by model and calibration
	probed    map[string]shared[*prune.Probes]    // by model, calibration and options
	curves    map[string]shared[[]prune.Curve]    // of the surgeon, likewise
	outcomes  []outcome                           // by run in the record
	peak      *float64
	peakTried bool
}

func (h *Host) newEngine(p *Plan) (*engine, error) {
	if p.Precision != Float32 && h.Fast == nil {
		return nil, fmt.Errorf("precision is %q, and there is no device of a lower precision", p.Precision)
	}
	s, err := openStore(p.Output, p.Stages)
	if err != nil {
		return nil, err
	}
	rows := cmp.Or(p.Rows, h.Rows, prune.MicroRows)
	prov := measure.NewProvenance(h.Version, h.Revision, time.Now())
	prov.Device = h.Device.Describe()
	prov.Threads = h.Device.Workers()
	prov.Libraries = h.Libraries
	prov.ConfigHash = p.Hash()
	prov.Seeds = map[string]uint64{"seed": p.Seed}
	var fast []string
	if h.Fast != nil {
		prov.Precision = p.Precision
		fast = []string{h.Fast.Describe()}
	}
	return &engine{
		host: h, plan: p, store: s, fast: fast,
		record: &record.Record{Version: record.Version, Name: p.Name, Config: p.Text, Overrides: p.Overrides, Provenance: prov},
		rows:   rows,
		facts:  []string{h.Digest, h.Device.Name(), h.Device.Describe(), fmt.Sprint("rows ", rows)},
		names:  modelNames(p.runs),

		subjects: map[string]*Subject{}, dense: map[string]*Evaluation{}, scored: map[string]bool{},
		derived: map[string]shared[*prune.Gradients]{}, probed: map[string]shared[*prune.Probes]{}, curves: map[string]shared[[]prune.Curve]{},
	}, nil
}

func (e *engine) close() {
	for _, s := range e.subjects {
		e.host.forget(s.Model)
		s.Close()
	}
}

// subject opens a run's model and task the first time they are met. Only one
// model's weights are kept on the device.
func (e *engine) subject(r Run) (*Subject, error) {
	key, err := digest([]any{r.Model, r.Task})
	if err != nil {
		return nil, err
	}
	s, ok := e.subjects[key]
	if !ok {
		if s, err = OpenSubject(r.Model.Path, r.Task.Config()); err != nil {
			return nil, err
		}
		e.subjects[key] = s
		if err := e.fitRows(s); err != nil {
			return nil, err
		}
	}
	for _, other := range e.subjects {
		if other != s {
			e.host.forget(other.Model)
		}
	}
	return s, nil
}

// ground is what a run stands on.
type ground struct {
	subject     *Subject
	feed        *Feed
	calibration *Calibration
	facts       []string // what its stages depend on beside the plan
}

func (e *engine) ground(r Run) (*ground, error) {
	s, err := e.subject(r)
	if err != nil {
		return nil, err
	}
	feed, err := r.feed(s)
	if err != nil {
		return nil, err
	}
	c, err := s.calibrate(r.Score)
	if err != nil {
		return nil, err
	}
	facts, err := e.scoreFacts(s, c, r)
	return &ground{s, feed, c, append(facts, feed.Digest)}, err
}

// scoreFacts are what scores depend on beside the plan.
func (e *engine) scoreFacts(s *Subject, c *Calibration, r Run) ([]string, error) {
	list, err := r.Score.tokenList()
	if err != nil {
		return nil, err
	}
	tokens, err := digest(list)
	return append([]string{s.Digest, c.Digest, tokens}, e.facts...), err
}

// open opens the models and tasks of runs, so that one that is not there is found
// before any work is done for another.
func (e *engine) open(runs []Run) error {
	for i, r := range runs {
		if _, err := e.subject(r); err != nil {
			return r.failed(i, len(runs), err)
		}
	}
	return nil
}

// check finds what would stop one of the runs, before hours are spent on those
// ahead of it: a model or data that is not there, batches that are too large, a
// budget that cannot be met.
func (e *engine) check(runs []Run) error {
	if err := e.open(runs); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, r := range runs {
		what := r.canonical("model", "task", "score", "search", "evaluate", "measure")
		if seen[what] {
			continue
		}
		seen[what] = true
		if err := e.checkRun(r); err != nil {
			return r.failed(i, len(runs), err)
		}
	}
	return nil
}

func (e *engine) checkRun(r Run) error {
	g, err := e.ground(r)
	if err != nil {
		return err
	}
	if _, err := r.Score.options(); err != nil {
		return err
	}
	if r.timed() {
		if err := r.Measure.fits(g.feed); err != nil {
			return err
		}
	}
	return r.reachable(g.subject, g.calibration, e.plan.Seed)
}

// reachable finds a search that cannot be done, or a budget that cannot be met,
// before anything is scored. One of time has to be measured first.
func (r Run) reachable(s *Subject, c *Calibration, seed uint64) error {
	m := s.Model
	if err := r.probable(m); err != nil {
		return err
	}
	if longest := longest(m.Config()); r.Search.SeqLen > float64(longest) {
		return fmt.Errorf("search.seq_len is %v, but the model takes %d tokens at most: set it to less", r.Search.SeqLen, longest)
	}
	if r.Search.Constraint == Latency {
		_, err := r.Search.timedExamples(s, seed)
		return err
	}
	var flat [][]float64 // any scores do: what can be reached does not depend on them
	for _, site := range m.Sites() {
		flat = append(flat, make([]float64, site.Units))
	}
	_, err := prune.Additive(m.Sites(), flat, r.Search.costs(m, c), r.Search.budget())
	return err
}

// longest is the number of tokens that a model takes.
func longest(c *model.Config) int {
	if c.Text() {
		return c.Positions
	}
	return c.Tokens()
}

// probable finds what no probes can be taken for: no loss at all, or more steps
// than there are units to remove.
func (r Run) probable(m model.Model) error {
	if !r.Search.probed() && (r.Score.Method != Trajectory || r.Score.Estimate != Probes) {
		return nil
	}
	if o := r.Score.probeOptions(m.Config()); o.NoMD && o.NoKD {
		return errors.New(`score.loss is "kd", and score.regression_kl = "zero" makes it 0 for this model: set score.loss to "both" or "md", or score.regression_kl to "squared"`)
	}
	units := 0
	for _, site := range m.Sites() {
		units += site.Units
	}
	if r.Search.probed() && r.Search.Steps > units {
		return fmt.Errorf("search.steps is %d, but the model has only %d heads and neurons: set it to less", r.Search.Steps, units)
	}
	return nil
}

// describe names a run for people.
func (r Run) describe() string {
	way := strings.Join([]string{r.Score.Method, r.Search.Method, r.Rebuild.Method}, "/")
	text := fmt.Sprintf("%s, %s, keep %v", r.Model.Path, way, r.Search.Keep)
	if r.Variant != "" {
		text += ", " + r.Variant
	}
	return text
}

// failed says which of the runs an error is of.
func (r Run) failed(i, n int, err error) error {
	if n == 1 {
		return err
	}
	return fmt.Errorf("run %d of %d (%s): %w", i+1, n, r.describe(), err)
}

func (r Run) split(s *Subject) string {
	if r.Evaluate.Split != "" {
		return r.Evaluate.Split
	}
	return s.Task.EvalSplit
}

// feed opens the split that a run is evaluated on.
func (r Run) feed(s *Subject) (*Feed, error) {
	f, err := s.OpenFeed(r.split(s), r.Evaluate.Limit)
	return f, orDev(s.Task, err)
}

// orDev adds to the error of a split that is not there that the task has another one
// to evaluate on, if it does.
func orDev(t *task.Task, err error) error {
	missing, ok := errors.AsType[*task.MissingSplit](err)
	if !ok || missing.Split == task.Dev {
		return err
	}
	if _, e := t.Load(task.Dev); e != nil {
		return err
	}
	return fmt.Errorf("%w; or evaluate on the dev split, which is there: --set evaluate.split=dev (--split dev of optin eval)", err)
}

// timed says whether a run is timed.
func (r Run) timed() bool { return len(r.Measure.Batch) > 0 && r.Measure.times(r.Score.Method) }

// fits says whether a split has examples enough for the batches.
func (m Measure) fits(f *Feed) error {
	for _, batch := range m.Batch {
		if batch > f.Len() {
			return fmt.Errorf("measure.batch is %d, but only %d examples of the split %s are read: set measure.batch to at most %d, or evaluate.limit higher",
				batch, f.Len(), f.Split, f.Len())
		}
	}
	return nil
}

// modelNames are the names of models in a record, by the keys that a dense
// model's figures depend on: the folder's name where that is clear, else with
// the folder's path, the task, and the keys that differ.
func modelNames(runs []Run) map[string]string {
	var distinct []Run
	names := map[string]string{}
	for _, r := range runs {
		if key := r.denseKey(); names[key] == "" {
			names[key] = baseName(r.Model.Path)
			distinct = append(distinct, r)
		}
	}
	for _, r := range distinct {
		for _, other := range distinct {
			if other.denseKey() != r.denseKey() && baseName(other.Model.Path) == baseName(r.Model.Path) {
				names[r.denseKey()] = r.Model.Path + " on " + r.Task.Name + r.differences(distinct)
				break
			}
		}
	}
	return names
}

// denseKey is equal for runs whose dense model has the same figures.
func (r Run) denseKey() string { return r.canonical(StepDense.tables()...) }

// differences are the keys that tell r from others of its model and task, as
// " max_length=32".
func (r Run) differences(others []Run) string {
	text := ""
	for i, k := range r.keys(0) {
		if k.table != "task" && k.table != "evaluate" {
			continue
		}
		for _, other := range others {
			if other.Model == r.Model && other.Task.Name == r.Task.Name && literal(other.keys(0)[i].get()) != literal(k.get()) {
				text += " " + k.name + "=" + literal(k.get())
				break
			}
		}
	}
	return text
}

// verdict says whether a run's figures may be quoted.
func verdict(out *record.Run, errs ...error) {
	out.Verdict.Valid = true
	for _, err := range errs {
		if err != nil {
			out.Verdict.Valid = false
			out.Verdict.Reasons = append(out.Verdict.Reasons, err.Error())
		}
	}
}
