package main

import (
	"fmt"
	"strings"

	"optin/bench/experiment"

	"github.com/spf13/cobra"
)

// planFlags are the flags of every command that works on an experiment.
type planFlags struct {
	set                       []string
	model, task, data, device string
	method                    string
	threads                   int
	output                    string
}

// add registers the flags. Commands on a single model also take it by flags
// instead of a file.
func (f *planFlags) add(cmd *cobra.Command, single bool) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.set, "set", nil, "set a key of the experiment, as `key=value`; see optin keys")
	flags.StringVar(&f.device, "device", "", "auto, cpu, cuda or ref (key device)")
	flags.IntVar(&f.threads, "threads", 0, "workers; 0: one for every core or GPU (key threads)")
	flags.StringVar(&f.output, "output", "", "`folder` of the results (key output)")
	if single {
		flags.StringVar(&f.model, "model", "", "Hugging Face model `folder` (key model.path)")
		flags.StringVar(&f.task, "task", "", "`name` of the task (key task.name)")
		flags.StringVar(&f.data, "data", "", "`folder` of the task's data (key task.path)")
	}
}

// addMethod registers the flag of the commands that score.
func (f *planFlags) addMethod(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.method, "method", experiment.Trajectory, "how units are scored (key score.method)")
}

// plan reads the experiment file in args, if there is one, and the flags.
func (f *planFlags) plan(cmd *cobra.Command, args []string) (*experiment.Plan, error) {
	for _, s := range f.set {
		if !strings.Contains(s, "=") {
			return nil, usageError{fmt.Errorf("--set %s: want key=value, such as score.samples=32", s)}
		}
	}
	overrides := f.overrides(cmd)
	if len(args) == 1 {
		return experiment.LoadPlan(args[0], overrides...)
	}
	if f.model == "" || f.task == "" {
		return nil, usageError{fmt.Errorf("%s takes an experiment file, or --model FOLDER and --task NAME", cmd.CommandPath())}
	}
	return experiment.ParsePlan("the command line", nil, append([]string{"name=" + cmd.Name()}, overrides...)...)
}

func (f *planFlags) overrides(cmd *cobra.Command) []string {
	list := append([]string(nil), f.set...)
	for _, flag := range []struct{ name, key, value string }{
		{"model", "model.path", f.model}, {"task", "task.name", f.task}, {"data", "task.path", f.data},
		{"device", "device", f.device}, {"threads", "threads", fmt.Sprint(f.threads)}, {"output", "output", f.output},
		{"method", "score.method", f.method},
	} {
		if cmd.Flags().Changed(flag.name) {
			list = append(list, flag.key+"="+flag.value)
		}
	}
	return list
}
