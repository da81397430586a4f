package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"optin/bench/experiment"
	"optin/bench/record"
	"optin/bench/report"

	"github.com/spf13/cobra"
)

// recordFile is the name of an experiment's record in its results folder.
const recordFile = "record.json"

func runCommand() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "run FILE.toml",
		Short: "run an experiment: score, prune, verify, evaluate, time, report",
		Long: `Run does every run of an experiment file and writes tables and plots to its
results folder. Finished stages are kept there: a run that was stopped or killed
goes on where it was, with the same result.`,
		Args: args(1, 1, "one experiment file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := f.plan(cmd, args)
			if err != nil {
				return err
			}
			return withHost(cmd, p, func(h *experiment.Host) error {
				rec, err := h.Execute(cmd.Context(), p)
				if err != nil {
					return err
				}
				h.Progress.Close()
				if err := record.Save(filepath.Join(p.Output, recordFile), rec); err != nil {
					return err
				}
				if err := writeReport(cmd.OutOrStdout(), rec, p.Output); err != nil {
					return err
				}
				return experiment.Invalid(rec)
			})
		},
	}
	f.add(cmd, false)
	return cmd
}

func reportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "report FOLDER",
		Short: "make the tables and plots of a results folder again from its record",
		Args:  args(1, 1, "one results folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := args[0]
			path := dir
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				path = filepath.Join(dir, recordFile)
			} else {
				dir = filepath.Dir(path)
			}
			rec, err := record.Load(path)
			if err != nil {
				return err
			}
			if len(rec.Runs) == 0 || len(rec.Models) == 0 {
				return fmt.Errorf("%s: has no runs or no models: run the experiment again", path)
			}
			return writeReport(cmd.OutOrStdout(), rec, dir)
		},
	}
}

func writeReport(w io.Writer, rec *record.Record, dir string) error {
	files, err := report.Write(rec, dir)
	if err != nil {
		return err
	}
	if err := report.Print(w, rec); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%d files in %s; begin with %s\n", len(files), dir, filepath.Join(dir, "report.md"))
	return nil
}

// withHost calls f with a device open for a plan.
func withHost(cmd *cobra.Command, p *experiment.Plan, f func(h *experiment.Host) error) error {
	h, closeHost, err := newHost(p.Device, p.Threads, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer closeHost()
	return f(h)
}
