package main

import (
	"errors"
	"fmt"
	"io"
	"math"
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
			release, err := p.Lock()
			if err != nil {
				return err
			}
			defer release() // once the report is written, too
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
	var out string
	cmd := &cobra.Command{
		Use:   "report FOLDER...",
		Short: "make the tables and plots of a results folder again from its record",
		Long: `Report makes the tables and plots of a results folder again from its record. Of
several folders it makes one report, with the means over all their models, into
the folder that --out names.`,
		Args: args(1, math.MaxInt, "results folders"),
		RunE: func(cmd *cobra.Command, args []string) error {
			recs := make([]*record.Record, len(args))
			dirs := make([]string, len(args))
			for i, arg := range args {
				var err error
				if recs[i], dirs[i], err = loadResults(arg); err != nil {
					return err
				}
			}
			switch {
			case len(args) == 1 && out == "":
				return writeReport(cmd.OutOrStdout(), recs[0], dirs[0])
			case out == "":
				return usageError{errors.New("optin report: with several folders, --out must name one for the report of all of them")}
			}
			rec, err := record.Merge(filepath.Base(filepath.Clean(out)), recs...)
			if err != nil {
				return err
			}
			return writeReport(cmd.OutOrStdout(), rec, out)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`folder` of the report, if not that of the results")
	return cmd
}

// loadResults reads the record of a results folder, or the record that is named.
func loadResults(path string) (rec *record.Record, dir string, err error) {
	dir = filepath.Dir(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		dir, path = path, filepath.Join(path, recordFile)
	}
	if rec, err = record.Load(path); err != nil {
		return nil, "", err
	}
	if len(rec.Runs) == 0 || len(rec.Models) == 0 {
		return nil, "", fmt.Errorf("%s: has no runs or no models: run the experiment again", path)
	}
	return rec, dir, nil
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
	h, closeHost, err := newHost(p.Device, p.Precision, p.Threads, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer closeHost()
	var closeTelemetry func()
	h.Telemetry, closeTelemetry = telemetry(h.Device)
	defer closeTelemetry()
	return f(h)
}
