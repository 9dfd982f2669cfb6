package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var (
	fence   = regexp.MustCompile("(?ms)^```\\w*\n(.*?)^```")
	inline  = regexp.MustCompile("`([^`\n]+)`")
	joined  = regexp.MustCompile(`\s+&&\s+`)
	ending  = regexp.MustCompile(`\)?\s{3,}|\s+#\s|\)$`) // what ends a command: a description, a comment
	goesOn  = regexp.MustCompile(`\s*\\\n\s*`)
	ours    = regexp.MustCompile(`(?s)^(?:\$ )?(?:source <\()?(?:go run \./cmd/)?gpuplay(?:\s+([a-z-].*)|\s*)$`) // else it is output
	unknown = regexp.MustCompile(`\bNAME\b`)                                                                     // a word that stands for others
)

// documented returns the command lines of gpuplay in a page of Markdown, without the
// program's name: those to be typed, in blocks of code, and those in sentences.
func documented(page string) (typed, named [][]string) {
	for _, m := range fence.FindAllStringSubmatch(page, -1) {
		for _, l := range commandsOf(m[1]) {
			typed = append(typed, shellWords(l))
		}
	}
	for _, m := range inline.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		for _, l := range commandsOf(m[1]) {
			if !unknown.MatchString(l) {
				named = append(named, shellWords(l))
			}
		}
	}
	return typed, named
}

// commandsOf returns the commands of gpuplay in a block of a shell's lines.
func commandsOf(block string) (list []string) {
	block = goesOn.ReplaceAllString(block, " ")
	for len(block) > 0 {
		line, rest, _ := strings.Cut(block, "\n")
		for strings.Count(line, `"`)%2 == 1 && rest != "" { // goes on in the next line
			var more string
			more, rest, _ = strings.Cut(rest, "\n")
			line += "\n" + more
		}
		block = rest
		for _, command := range joined.Split(strings.TrimSpace(line), -1) {
			if end := ending.FindStringIndex(command); end != nil {
				command = command[:end[0]]
			}
			if m := ours.FindStringSubmatch(command); m != nil {
				list = append(list, m[1])
			}
		}
	}
	return list
}

// shellWords splits a line into words; those in double quotes stay together.
func shellWords(line string) (words []string) {
	for _, w := range regexp.MustCompile(`(?:"[^"]*"|\S)+`).FindAllString(line, -1) {
		words = append(words, strings.ReplaceAll(w, `"`, ""))
	}
	return words
}

func TestCommandsOf(t *testing.T) {
	page := "Run `gpuplay doctor`; `gpuplay` or `gpuplay-report.txt`.\n```\ngpuplay race --size 4096    a size\n" +
		"gpuplay setup mlx        && gpuplay matmul --engine mlx\ngo run ./cmd/gpuplay      # the race\nsource <(gpuplay completion bash)    tab\n" +
		"gpuplay generate m --prompt \"two\nlines\"\ngpuplay sweep --sizes 16 \\\n  --threads 1\n```\n"
	var got []string
	typed, named := documented(page)
	for _, words := range slices.Concat(typed, named) {
		got = append(got, strings.Join(words, "|"))
	}
	want := []string{"race|--size|4096", "setup|mlx", "matmul|--engine|mlx", "", "completion|bash", "generate|m|--prompt|two\nlines", "sweep|--sizes|16|--threads|1", "doctor", ""}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// parse returns the error of a command line that would not run: an unknown command or
// flag, a value that a flag does not have, too many or too few arguments. A sentence may
// name a command without its arguments.
func parse(words []string, inSentence bool) error {
	root := newRoot(&app{stdout: io.Discard, stderr: io.Discard})
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	c, args, err := root.Find(words)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(args); err != nil {
		return err
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		values, _ := c.GetFlagCompletionFunc(f.Name)
		if err == nil && values != nil && slices.Contains([]string{"dtype", "engine", "format", "protocol", "runtime", "bench"}, f.Name) {
			err = known(c, f, values)
		}
	})
	if err != nil {
		return err
	}
	if inSentence && !c.HasSubCommands() {
		return nil
	}
	return c.ValidateArgs(c.Flags().Args())
}

// known returns an error if a flag's value is none of those that a shell is offered.
func known(c *cobra.Command, f *pflag.Flag, values cobra.CompletionFunc) error {
	list, _ := values(c, nil, "")
	for i := range list {
		list[i], _, _ = strings.Cut(list[i], "\t")
	}
	if !slices.Contains(list, f.Value.String()) {
		return mistyped(f.Value.String(), list, "--%s %s: not one of %s", f.Name, f.Value, strings.Join(list, ", "))
	}
	return nil
}

// pages are the files for users and contributors, by path. The changelog is history.
func pages(t *testing.T) map[string]string {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, name := range append(files, "../../README.md", "../../CONTRIBUTING.md", "../../SECURITY.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	return texts
}

// Every command line of the documentation and of the help can be typed as it is.
func TestDocumentedCommandsParse(t *testing.T) {
	count := 0
	for name, text := range pages(t) {
		typed, named := documented(text)
		for i, words := range slices.Concat(typed, named) {
			count++
			if err := parse(words, i >= len(typed)); err != nil {
				t.Errorf("%s: gpuplay %s: %v", filepath.Base(name), strings.Join(words, " "), err)
			}
		}
	}
	var help func(c *cobra.Command)
	help = func(c *cobra.Command) {
		for _, l := range commandsOf(c.Example) {
			count++
			if err := parse(shellWords(l), false); err != nil {
				t.Errorf("%s --help: gpuplay %s: %v", c.CommandPath(), l, err)
			}
		}
		for _, sub := range c.Commands() {
			help(sub)
		}
	}
	help(newRoot(&app{stdout: io.Discard, stderr: io.Discard}))
	if count < 80 {
		t.Errorf("only %d command lines were found", count)
	}
	for _, wrong := range []string{"rase", "race --sise 4", "race 5", "race --format xml", "race --dtype float15", "completion bush"} {
		if parse(strings.Fields(wrong), false) == nil {
			t.Errorf("gpuplay %s is accepted", wrong)
		}
	}
}

// The documented commands that need no framework, GPU, model or download do what they
// are documented for, in the order of their pages.
func TestDocumentedCommandsRun(t *testing.T) {
	if testing.Short() {
		t.Skip("a race takes some seconds")
	}
	t.Setenv("LANG", "C.UTF-8")
	var all [][]string
	for _, text := range pages(t) {
		typed, named := documented(text)
		all = slices.Concat(all, typed, named)
	}
	t.Chdir(t.TempDir())
	for _, command := range []string{
		"version --json", "engines", "models", "doctor", "completion bash", "setup torch --dry-run",
		"race --output race.json", "doctor --why-slow race.json",
	} {
		words := strings.Fields(command)
		if !slices.ContainsFunc(all, func(w []string) bool { return slices.Equal(w, words) }) {
			t.Errorf("gpuplay %s is no longer documented", command)
		}
		var out, stderr bytes.Buffer
		if code := run(words, nil, &out, &stderr); code != 0 || out.Len() == 0 {
			t.Errorf("gpuplay %s: exit code %d\n%s%s", command, code, &out, &stderr)
		}
	}
}
