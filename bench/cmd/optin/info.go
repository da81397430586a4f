package main

import (
	"fmt"
	"io"
	"runtime"

	"optin/bench/experiment"
	"optin/bench/measure"
	"optin/bench/model"
	"optin/bench/prune"
	"optin/cuda"
	"optin/kernels/cpu"

	"github.com/spf13/cobra"
)

func infoCommand() *cobra.Command {
	var length int
	cmd := &cobra.Command{
		Use:   "info MODEL",
		Short: "show a model's layers, parameters and multiply-accumulates",
		Args:  args(1, 1, "one model folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, closeModel, err := model.Open(args[0])
			if err != nil {
				return err
			}
			defer closeModel()
			c := m.Config()
			if !c.Text() {
				length = c.Tokens()
			} else if !cmd.Flags().Changed("seq-len") {
				length = min(length, c.Positions)
			} else if length < 1 || length > c.Positions {
				return usageError{fmt.Errorf("--seq-len %d: the model takes 1 to %d tokens", length, c.Positions)}
			}
			return printInfo(cmd.OutOrStdout(), m, int64(length))
		},
	}
	cmd.Flags().IntVar(&length, "seq-len", 128, "`tokens` of a text to count for, or what the model takes if that is less; images have their own")
	return cmd
}

func printInfo(w io.Writer, m model.Model, t int64) error {
	c := m.Config()
	one := prune.Lengths{Sequences: 1, Tokens: t, TokenPairs: t * t}
	macs, values := prune.CountMACs(m, one), prune.CountValues(m)
	fmt.Fprintf(w, "%s (%s), %d labels\n", c.Architecture, c.ModelType, len(c.Labels))
	fmt.Fprintf(w, "hidden %d, head size %d, %d layers\n\n", c.Hidden, c.HeadSize, c.Layers)
	fmt.Fprintf(w, "%5s %6s %8s %12s %14s\n", "layer", "heads", "neurons", "parameters", "MACs")
	for l := range c.Layers {
		var cost int64
		for s, site := range m.Sites() {
			if site.Layer == l {
				cost += macs.Unit[s] * int64(site.Units)
			}
		}
		fmt.Fprintf(w, "%5d %6d %8d %12d %14d\n", l, c.HeadsIn(l), c.NeuronsIn(l), m.LayerValues(l), cost)
	}
	fmt.Fprintf(w, "%5s %6s %8s %12d %14d   embeddings and head\n", "", "", "", values.Outside, macs.Outside)
	fmt.Fprintf(w, "%5s %6s %8s %12d %14d   for one sequence of %d tokens\n", "total", "", "", values.Total(), macs.Total(), t)
	return nil
}

func keysCommand() *cobra.Command {
	var training bool
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "list every key of an experiment file, or of a training file, with its default",
		Args:  args(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if training {
				return experiment.WriteTrainingKeys(cmd.OutOrStdout())
			}
			return experiment.WriteKeys(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&training, "train", false, "those of a training file (optin train)")
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "show versions, machine and devices",
		Args:  args(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := cmd.OutOrStdout()
			fmt.Fprintf(w, "optin %s (revision %s), %s\n", orUnknown(version), orUnknown(revision), runtime.Version())
			machine := measure.DescribeMachine()
			fmt.Fprintf(w, "machine  %s, %d usable processors, %.1f GiB, %s\n", machine.CPU, machine.Usable, float64(machine.MemoryBytes)/(1<<30), machine.OS)
			if dev, err := cpu.New(cpu.Options{}); err == nil {
				fmt.Fprintf(w, "cpu      %s\n", dev.Describe())
				dev.Close()
			} else {
				fmt.Fprintf(w, "cpu      not available: %v\n", err)
			}
			found, err := cuda.Discover()
			switch {
			case err != nil:
				fmt.Fprintf(w, "cuda     not available: %v\n", err)
			case len(found.List) == 0:
				fmt.Fprintf(w, "cuda     no device: %s\n", found.Absent)
			}
			for i, d := range found.List {
				fmt.Fprintf(w, "cuda     %d: %v, driver %s for CUDA %s\n", i, d, found.Driver, found.CUDA)
			}
			for _, fault := range found.Faults {
				fmt.Fprintf(w, "cuda     not available: %v\n", fault)
			}
			if cuda.Built {
				err = cuda.Available()
			} else if _, err = beside(); err == nil {
				fmt.Fprintf(w, "cuda     computed on by %s beside this program\n", gpuProgram)
			}
			if err != nil {
				fmt.Fprintf(w, "cuda     not computed on: %v\n", err)
			}
			return nil
		},
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
