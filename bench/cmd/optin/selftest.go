package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"optin/bench/experiment"
	"optin/bench/roofline"
	"optin/cuda"
	"optin/kernels"
	"optin/kernels/kerneltest"

	"github.com/spf13/cobra"
)

// selftest is what the command is to do.
type selftest struct {
	device    string
	precision string
	threads   int
	quick     bool
	time      bool
	batch     string
	ops       []string
}

func selftestCommand() *cobra.Command {
	var s selftest
	cmd := &cobra.Command{
		Use:   "selftest",
		Short: "check every kernel against the float64 reference, and time it against what this machine can do",
		Long: `Selftest checks every kernel against the float64 reference. Then it measures how
fast the device copies within its memory and how fast its largest products are,
and times every op, forward and backward, at the shapes of BERT-base: the share
reached is the least time that the op's bytes and operations take at those rates,
over the time that it took. Calls of an op work on different data in turn, so
that no cache helps them; starting a kernel counts as time, and is most of it
where an op has little to do. More than 100 % is the machine's noise, or half of
a symmetric product that was left out. The reference itself is not timed.`,
		Args: args(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			shape, err := s.shape()
			if err != nil {
				return err
			}
			dev, err := s.open(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer dev.Close()
			w := cmd.OutOrStdout()
			fmt.Fprintln(w, dev.Describe())
			results, err := kerneltest.Check(dev, kerneltest.Options{Quick: s.quick, Ops: s.ops, Round: cuda.Precision(s.precision).Rounding()})
			if err != nil {
				return err
			}
			// A device that is lost says so again, and nothing of its kernels.
			if err := dev.One(cmd.Context(), func(kernels.Ops) error { return nil }); err != nil {
				return fmt.Errorf("selftest: %w", err)
			}
			if len(results) == 0 {
				return usageError{fmt.Errorf("--ops %s: no such op; selftest --quick lists them", strings.Join(s.ops, ","))}
			}
			checks := checksOf(results)
			if err := checks.print(w); err != nil || !s.time || dev.Name() == "ref" {
				return err
			}
			return s.roofline(cmd.Context(), w, dev, shape, checks)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&s.device, "device", "cpu", "auto, cpu, cuda or ref")
	flags.StringVar(&s.precision, "precision", experiment.Float32, "that Linear multiplies in: float32, or on a GPU tf32, fp16 or bf16")
	flags.IntVar(&s.threads, "threads", 0, "workers; 0: one for every core, or GPU")
	flags.BoolVar(&s.quick, "quick", false, "leave out the large shapes, of checks and of times, which then say nothing")
	flags.BoolVar(&s.time, "time", true, "time the ops once they are checked")
	flags.StringSliceVar(&s.ops, "ops", nil, "check and time only these `ops`, such as Linear,AttentionBackward")
	flags.StringVar(&s.batch, "batch", "", "`SEQUENCESxTOKENS` that ops are timed at (default 32x128; with --quick 2x8)")
	return cmd
}

// open opens the device, in the precision.
func (s selftest) open(stderr io.Writer) (kernels.Device, error) {
	dev, err := openDevice(s.device, s.threads, stderr)
	if err != nil {
		return nil, err
	}
	fast, err := openFast(dev, s.precision, s.threads)
	if err != nil || fast != nil {
		dev.Close()
		dev = fast
	}
	return dev, err
}

// mostTokens, of a batch, take a few gigabytes in each of the largest tensors.
const mostTokens = 1 << 18

// shape is that of the timed ops.
func (s selftest) shape() (roofline.Shape, error) {
	batch, of := s.batch, roofline.BERTBase
	if s.quick {
		of = roofline.Tiny
	}
	switch {
	case batch == "" && s.quick:
		batch = "2x8"
	case batch == "":
		batch = "32x128"
	}
	var sequences, tokens int
	var rest string
	if n, _ := fmt.Sscanf(batch, "%dx%d%s", &sequences, &tokens, &rest); n != 2 || sequences < 1 || tokens < 2 {
		return roofline.Shape{}, usageError{fmt.Errorf("--batch %s: want SEQUENCESxTOKENS, such as 32x128, of 1 sequence or more and 2 tokens or more", batch)}
	}
	if sequences > mostTokens/tokens {
		return roofline.Shape{}, usageError{fmt.Errorf("--batch %s: at most %d tokens together", batch, mostTokens)}
	}
	return of(sequences, tokens), nil
}

// roofline times ops and prints them.
func (s selftest) roofline(ctx context.Context, w io.Writer, dev kernels.Device, shape roofline.Shape, checks *checks) error {
	watcher, closeWatcher := telemetry(dev)
	defer closeWatcher()
	b := &roofline.Bench{Device: dev, Shape: shape, Options: roofline.DefaultOptions(), Watcher: watcher}
	b.Narrow = s.precision == string(cuda.BF16) || s.precision == string(cuda.FP16)
	if s.quick {
		b.Options = roofline.QuickOptions()
	}
	cases := b.Cases()
	if s.ops != nil {
		cases = slices.DeleteFunc(cases, func(c roofline.Case) bool { return !slices.Contains(s.ops, c.Op) })
	}
	rates, rows, err := b.Run(ctx, cases)
	if err != nil {
		return fmt.Errorf("selftest: %w", err)
	}
	fmt.Fprintf(w, "\n%v\n%v; %d at once, each with its share\n\n", rates, shape, dev.Workers())
	return roofline.Print(w, rows, checks.of)
}

// checks sums up the results of the conformance suite per op.
type checks struct {
	results []kerneltest.Result
	ops     []string // in the order in which they come
	byOp    map[string]*opChecks
}

type opChecks struct {
	cases, failed int
	share         float64 // of the tolerance, the most that was used
}

func checksOf(results []kerneltest.Result) *checks {
	c := &checks{results: results, byOp: map[string]*opChecks{}}
	for _, r := range results {
		s := c.byOp[r.Op]
		if s == nil {
			s = &opChecks{}
			c.byOp[r.Op] = s
			c.ops = append(c.ops, r.Op)
		}
		s.cases++
		switch {
		case !r.OK:
			s.failed++
		case r.Tolerance > 0:
			s.share = max(s.share, r.Share)
		}
	}
	return c
}

// of says how an op's checks went, all of which passed.
func (c *checks) of(op string) string {
	if s := c.byOp[op]; s != nil {
		return fmt.Sprintf("%d cases", s.cases)
	}
	return "no"
}

// print lists what failed in full, and the checks per op. The error says that some failed.
func (c *checks) print(w io.Writer) error {
	for _, r := range c.results {
		if !r.OK {
			fmt.Fprintf(w, "FAILED  %v\n", r)
		}
	}
	failed := 0
	fmt.Fprintf(w, "%-24s %6s %7s  %s\n", "op", "cases", "failed", "most of the tolerance used")
	for _, op := range c.ops {
		s := c.byOp[op]
		failed += s.failed
		fmt.Fprintf(w, "%-24s %6d %7d  %.0f %%\n", op, s.cases, s.failed, 100*s.share)
	}
	if failed > 0 {
		return fmt.Errorf("selftest: %d of %d cases failed on this machine; please report the lines above", failed, len(c.results))
	}
	fmt.Fprintf(w, "all %d cases passed\n", len(c.results))
	return nil
}
