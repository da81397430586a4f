package main

import (
	"fmt"
	"io"
	"strings"

	"optin/bench/experiment"
	"optin/bench/record"
	"optin/bench/report"

	"github.com/spf13/cobra"
)

func trainCommand() *cobra.Command {
	var f planFlags
	var resume bool
	cmd := &cobra.Command{
		Use:   "train FILE.toml",
		Short: "train a model, from the start, from a checkpoint, or after pruning",
		Long: `Train does what a training file says (see optin keys --train) and writes the
model, its record and the curve of its loss to the output folder. Stopped with
Ctrl-C it writes a checkpoint first; --resume goes on from there, to the same
bits as without the stop.`,
		Args: args(1, 1, "one training file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := f.training(cmd, args[0])
			if err != nil {
				return err
			}
			h, closeHost, err := newHost(p.Device, experiment.Float32, p.Threads, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer closeHost()
			rec, err := h.Train(cmd.Context(), p, resume)
			if err != nil {
				return err
			}
			h.Progress.Close()
			if _, err := report.WriteTraining(rec, p.Output); err != nil {
				return err
			}
			printTraining(cmd.OutOrStdout(), rec, p.Output)
			return nil
		},
	}
	f.add(cmd, false)
	cmd.Flags().BoolVar(&resume, "resume", false, "go on from the checkpoint in the output folder, if there is one")
	return cmd
}

// training reads a training file and the flags.
func (f *planFlags) training(cmd *cobra.Command, file string) (*experiment.Training, error) {
	for _, s := range f.set {
		if !strings.Contains(s, "=") {
			return nil, usageError{fmt.Errorf("--set %s: want key=value, such as train.epochs=3", s)}
		}
	}
	return experiment.LoadTraining(file, f.overrides(cmd)...)
}

func printTraining(w io.Writer, r *record.Training, output string) {
	fmt.Fprintf(w, "%s: %d steps over %d examples of %s\n", r.Name, r.Steps, r.Examples, r.Task)
	for _, note := range r.Notes {
		fmt.Fprintln(w, "  note:", note)
	}
	for _, e := range r.Final {
		for _, m := range e.Metrics {
			fmt.Fprintf(w, "  %-5s %-10s %.2f %% ± %.2f (%d examples)\n", e.Split, m.Name, 100**m.Value, 100**m.StdErr, m.N)
		}
	}
	if s := r.Speed; s != nil {
		fmt.Fprintf(w, "  %.0f examples/s, %.1f GFLOP/s, %.0f %% of the forward pass's %.1f\n", s.Examples, s.FLOPS/1e9, 100*s.Share(), s.ForwardFLOPS/1e9)
	}
	fmt.Fprintf(w, "the model is in %s, its record and loss curve in %s\n", r.Model, output)
}
