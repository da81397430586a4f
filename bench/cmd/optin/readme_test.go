package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"optin/bench/experiment"

	"github.com/spf13/cobra"
)

// TestReadme checks that every command line in the README exists: its command,
// its flags, and the keys that it sets.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../../README.md")
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatal("there is no README.md")
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := commandLines(string(text))
	if len(lines) == 0 {
		t.Fatal("README.md shows no command line of the program")
	}
	for _, line := range lines {
		if err := parses(line); err != nil {
			t.Errorf("%s\n%v", strings.Join(line, " "), err)
		}
	}
}

func TestCommandLines(t *testing.T) {
	got := commandLines("optin is here\n```sh\n$ optin run a.toml \\\n    --set 'score.tau=3' # warm\nmake\nbin/optin version && echo optin\n```\noptin there\n    bin/optin info \"a b\"\n")
	want := []string{"run|a.toml|--set|score.tau=3", "version", "info|a b"}
	for i, w := range want {
		if i >= len(got) || strings.Join(got[i], "|") != w {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	for _, line := range []string{"run", "run a b", "rn a", "run a --sett b=c", "run a --set score.tua=3", "info"} {
		if parses(strings.Fields(line)) == nil {
			t.Errorf("optin %s passes", line)
		}
	}
	if err := parses([]string{"prune", "--model", "m", "--task", "mrpc", "--out", "x", "--keep", "0.3", "--set", "score.samples=3"}); err != nil {
		t.Error(err)
	}
}

// commandLines are the arguments of every call of optin in a Markdown text's
// blocks of code, fenced or indented.
func commandLines(text string) [][]string {
	var all [][]string
	fenced := false
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if !fenced && !strings.HasPrefix(line, "    ") {
			continue
		}
		words := splitWords(strings.TrimPrefix(strings.TrimSpace(line), "$ "))
		if len(words) > 0 && (words[0] == "optin" || strings.HasSuffix(words[0], "/optin")) {
			all = append(all, words[1:])
		}
	}
	return all
}

// splitWords cuts a command as a shell does, up to where another one begins.
func splitWords(line string) []string {
	var words []string
	var word strings.Builder
	quote, open := rune(0), false
	end := func() {
		if open {
			words = append(words, word.String())
		}
		word.Reset()
		open = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, open = r, true
		case r == ' ' || r == '\t':
			end()
		case strings.ContainsRune("|&;>#", r) && !open:
			return words
		default:
			word.WriteRune(r)
			open = true
		}
	}
	end()
	return words
}

// parses says whether the program would take a command line, without running it.
func parses(line []string) error {
	cmd, rest, err := command(io.Discard, io.Discard).Find(line)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	args := cmd.Flags().Args()
	if !cmd.HasParent() {
		if len(args) > 0 && args[0] != "help" {
			return errors.New("there is no such command")
		}
		return nil
	}
	if err := cmd.ValidateArgs(args); err != nil {
		return err
	}
	return setsParse(cmd)
}

// setsParse checks the keys and values of --set.
func setsParse(cmd *cobra.Command) error {
	if cmd.Flags().Lookup("set") == nil {
		return nil
	}
	sets, err := cmd.Flags().GetStringArray("set")
	if err != nil {
		return err
	}
	_, err = experiment.ParsePlan("a file", []byte("model = 'm'\ntask = 'mrpc'"), sets...)
	return err
}
