package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sort"

	"optin/bench/disk"
	"optin/bench/experiment"
	"optin/bench/record"

	"github.com/spf13/cobra"
)

const orFlags = "one experiment file, or none and --model and --task"

func scoreCommand() *cobra.Command {
	var f planFlags
	var out string
	cmd := &cobra.Command{
		Use:   "score [FILE.toml]",
		Short: "score every head and neuron of a model",
		Args:  args(0, 1, orFlags),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := f.plan(cmd, args)
			if err != nil {
				return err
			}
			if out == "" {
				out = filepath.Join(p.Output, "scores.json")
			} else if err := disk.MakeFolder(filepath.Dir(out)); err != nil {
				return err
			}
			if err := record.MayHoldScores(out); err != nil {
				return err
			}
			return withHost(cmd, p, func(h *experiment.Host) error {
				scores, err := h.Scores(cmd.Context(), p)
				if err != nil {
					return err
				}
				h.Progress.Close()
				if err := record.SaveScores(out, scores); err != nil {
					return err
				}
				printScores(cmd.OutOrStdout(), scores)
				fmt.Fprintf(cmd.OutOrStdout(), "\nall scores are in %s\n", out)
				return nil
			})
		},
	}
	f.add(cmd, true)
	f.addMethod(cmd)
	cmd.Flags().StringVar(&out, "out", "", "`file` for the scores, as JSON (default: scores.json in the results folder)")
	return cmd
}

// printScores shows how the scores of each site are spread.
func printScores(w io.Writer, all []record.Scores) {
	for _, s := range all {
		fmt.Fprintf(w, "\n%s, %s %s (%.1f s)\n", s.Model, s.Method, s.Variant, *s.Seconds)
		fmt.Fprintf(w, "%5s  %-8s %6s  %11s %11s %11s\n", "layer", "kind", "units", "least", "median", "most")
		for _, site := range s.Sites {
			v := slices.Sorted(slices.Values(site.Values))
			fmt.Fprintf(w, "%5d  %-8s %6d  %11.4g %11.4g %11.4g\n", site.Layer, site.Kind, len(v), v[0], v[len(v)/2], v[len(v)-1])
		}
		for _, warning := range s.Warnings {
			fmt.Fprintln(w, "warning:", warning)
		}
	}
}

func pruneCommand() *cobra.Command {
	var f planFlags
	var out, format string
	var keep float64
	cmd := &cobra.Command{
		Use:   "prune [FILE.toml] --out FOLDER",
		Short: "write a pruned model as a Hugging Face folder, and prove it",
		Args:  args(0, 1, orFlags),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usageError{fmt.Errorf("prune needs --out FOLDER for the pruned model")}
			}
			if format != string(experiment.Compacted) && format != string(experiment.Masked) {
				return usageError{fmt.Errorf("--format %s: want compact or masked", format)}
			}
			if cmd.Flags().Changed("keep") {
				f.set = append(f.set, fmt.Sprintf("search.keep=%v", keep))
			}
			p, err := f.plan(cmd, args)
			if err != nil {
				return err
			}
			return withHost(cmd, p, func(h *experiment.Host) error {
				pruned, err := h.Prune(cmd.Context(), p, out, experiment.Format(format))
				if err != nil {
					return err
				}
				h.Progress.Close()
				printPruned(cmd.OutOrStdout(), pruned, out)
				return nil
			})
		},
	}
	f.add(cmd, true)
	f.addMethod(cmd)
	cmd.Flags().StringVar(&out, "out", "", "`folder` to write the pruned model to")
	cmd.Flags().Float64Var(&keep, "keep", 0.5, "`share` of the encoder's MACs that remains (key search.keep)")
	cmd.Flags().StringVar(&format, "format", "compact", "compact: weights removed; masked: original shapes with zeros, for any Hugging Face program")
	return cmd
}

func printPruned(w io.Writer, p *experiment.Pruned, out string) {
	r := p.Run
	fmt.Fprintf(w, "%s pruned by %s for %s\n", r.Model, r.Way(), r.Task)
	fmt.Fprintf(w, "  encoder MACs   %.2f %% of dense\n", 100**r.KeptEncoderMACs)
	fmt.Fprintf(w, "  parameters     %d\n", p.Params)
	fmt.Fprintf(w, "  heads          %v\n", r.Heads)
	fmt.Fprintf(w, "  neurons        %v\n", r.Neurons)
	fmt.Fprintf(w, "verified on %d examples, as read back from %s:\n", r.Verify.Examples, out)
	fmt.Fprintf(w, "  logits differ from the masked model's by %.1g of the largest; %.0f MACs counted for all of them, %.0f executed\n",
		*r.Verify.LogitGap, *r.Verify.CountedMACs, *r.Verify.ExecutedMACs)
	if exact := r.Verify.ExactGap; exact != nil {
		fmt.Fprintf(w, "  in float64 they differ by %.1g: the rest is float32's rounding\n", *exact)
	}
	fmt.Fprintf(w, "what it costs in accuracy: optin eval --model %s ...\n", out)
}

func evalCommand() *cobra.Command {
	var f planFlags
	var split string
	cmd := &cobra.Command{
		Use:   "eval [FILE.toml]",
		Short: "evaluate a model, pruned or not, on its task",
		Args:  args(0, 1, orFlags),
		RunE: func(cmd *cobra.Command, args []string) error {
			if split != "" {
				f.set = append(f.set, "evaluate.split="+split)
			}
			p, err := f.plan(cmd, args)
			if err != nil {
				return err
			}
			return withHost(cmd, p, func(h *experiment.Host) error {
				h.Log = nil
				models, err := h.Evaluate(cmd.Context(), p)
				if err != nil {
					return err
				}
				h.Progress.Close()
				for _, m := range models {
					fmt.Fprintf(cmd.OutOrStdout(), "%s on %s %s\n", m.Path, m.Task, m.Split)
					for _, metric := range m.Metrics {
						fmt.Fprintf(cmd.OutOrStdout(), "  %-10s %.2f %% ± %.2f (%d examples)\n", metric.Name, 100**metric.Value, 100**metric.StdErr, metric.N)
					}
					fmt.Fprintf(cmd.OutOrStdout(), "  %-10s %.4g per example, executed\n", "MACs", *m.ExecutedMACs)
				}
				return nil
			})
		},
	}
	f.add(cmd, true)
	cmd.Flags().StringVar(&split, "split", "", "train, dev or test (key evaluate.split)")
	return cmd
}

func timeCommand() *cobra.Command {
	var f planFlags
	var against []string
	cmd := &cobra.Command{
		Use:   "time [FILE.toml] [--pruned FOLDER]...",
		Short: "time a model against pruned forms of it, interleaved",
		Args:  args(0, 1, orFlags),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := f.plan(cmd, args)
			if err != nil {
				return err
			}
			return withHost(cmd, p, func(h *experiment.Host) error {
				all, err := h.Time(cmd.Context(), p, against)
				if err != nil {
					return err
				}
				h.Progress.Close()
				var names []string
				for name := range all {
					names = append(names, name)
				}
				sort.Strings(names)
				for _, name := range names {
					printTimings(cmd.OutOrStdout(), name, all[name])
				}
				return nil
			})
		},
	}
	f.add(cmd, true)
	cmd.Flags().StringArrayVar(&against, "pruned", nil, "`folder` of a model to compare with; default: the model itself, which shows the noise")
	return cmd
}

func printTimings(w io.Writer, name string, timings []record.Timing) {
	fmt.Fprintf(w, "%s\n%-11s %6s  %-28s %-28s %-24s %10s\n", name, "kind", "batch", "dense, ms (95 % interval)", "this, ms", "speed-up", "examples/s")
	for _, t := range timings {
		fmt.Fprintf(w, "%-11s %6d  %-28s %-28s %-24s %10.0f\n", t.Kind, t.Batch,
			fmt.Sprintf("%.3f (%.3f to %.3f)", 1e3*t.Dense.Value, 1e3*t.Dense.Low, 1e3*t.Dense.High),
			fmt.Sprintf("%.3f (%.3f to %.3f)", 1e3*t.Pruned.Value, 1e3*t.Pruned.Low, 1e3*t.Pruned.High),
			fmt.Sprintf("%.2f (%.2f to %.2f)", t.Speedup.Value, t.Speedup.Low, t.Speedup.High), t.Throughput.Value)
		if t.FLOPS != nil && t.PeakFLOPS != nil {
			fmt.Fprintf(w, "%20s%.1f GFLOP/s executed, %.0f %% of the %.1f that one large product reaches\n", "", *t.FLOPS/1e9, 100**t.FLOPS / *t.PeakFLOPS, *t.PeakFLOPS/1e9)
		}
		printTelemetry(w, t)
		for _, warning := range t.Warnings {
			fmt.Fprintf(w, "%20s%v\n", "", warning)
		}
	}
}

// printTelemetry shows what the device used and did while a model was timed.
func printTelemetry(w io.Writer, t record.Timing) {
	if before, after := t.DenseEnergy, t.PrunedEnergy; before != nil && after != nil {
		fmt.Fprintf(w, "%20s%.4g J per example dense, %.4g this: %.0f %%; %.0f W, then %.0f W, by %s\n", "",
			before.Joules.Value, after.Joules.Value, 100*after.Joules.Value/before.Joules.Value, before.Watts, after.Watts, after.Source)
	}
	if d := t.Telemetry; d != nil {
		fmt.Fprintf(w, "%20s%v\n", "", d)
		for _, why := range d.Absent {
			fmt.Fprintf(w, "%20snot available: %s\n", "", why)
		}
	}
}
