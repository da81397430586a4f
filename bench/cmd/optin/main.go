// Optin prunes pretrained transformers in one shot, without re-training, and
// measures what that buys. See README.md, or optin help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"optin/bench/experiment"

	"github.com/spf13/cobra"
)

// Set when the program is linked.
var version, revision string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Stdout, os.Stderr, os.Args[1:]))
}

// Exit statuses.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// usageError is a command line that makes no sense.
type usageError struct{ error }

// run is the whole program: what main does, but testable.
func run(ctx context.Context, stdout, stderr io.Writer, args []string) int {
	out := &checkedWriter{w: stdout}
	root := command(out, stderr)
	root.SetArgs(args)
	if note := handedOver(); note != "" {
		fmt.Fprintln(stderr, "optin:", note)
	}
	ran, err := root.ExecuteContextC(ctx)
	var other handOver
	if errors.As(err, &other) {
		err = other.execute(args)
	}
	if err == nil {
		err = out.err
	}
	var usage usageError
	var interrupted *experiment.Interrupted
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &interrupted):
		fmt.Fprintf(stderr, "optin: %v\n", interrupted)
		return exitInterrupted
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "optin: stopped"+kept(ran.Name()))
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "optin: %v\nTry: optin help\n", err)
		return exitUsage
	}
	fmt.Fprintf(stderr, "optin: %v\n", err)
	return exitFailed
}

// kept says what is left of a command that was stopped.
func kept(command string) string {
	switch command {
	case "predict", "selftest":
		return ""
	}
	return "; what was finished is kept: the same command goes on from there"
}

// checkedWriter remembers that something could not be printed.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(text []byte) (int, error) {
	n, err := c.w.Write(text)
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("standard output: %w", err)
	}
	return n, err
}

func command(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "optin",
		Short:         "prune pretrained transformers in one shot, and measure what that buys",
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command %q", args[0])}
			}
			return cmd.Help()
		},
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(runCommand(), trainCommand(), scoreCommand(), pruneCommand(), evalCommand(), predictCommand(), timeCommand(),
		reportCommand(), infoCommand(), keysCommand(), selftestCommand(), versionCommand())
	return root
}

// args is a check of the number of arguments, as a usage error.
func args(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, list []string) error {
		if len(list) < least || len(list) > most {
			return usageError{fmt.Errorf("%s takes %s", cmd.CommandPath(), what)}
		}
		return nil
	}
}
