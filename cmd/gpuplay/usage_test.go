package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
)

// Help is broken between words, however narrow the terminal is.
func TestHelpFits(t *testing.T) {
	var b bytes.Buffer
	root := newRoot(&app{stdout: &b, stderr: &b})
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		for _, width := range []int{40, 80, 100} {
			for line := range strings.Lines(helpText(c, width)) {
				line = strings.TrimSuffix(line, "\n")
				words := strings.Fields(strings.TrimSuffix(line, ` \`))
				if ansi.StringWidth(line) > width && len(words) > 1 && !strings.HasPrefix(line, "\t") {
					t.Errorf("%s at %d columns: %q", c.CommandPath(), width, line)
				}
			}
		}
		for _, sub := range c.Commands() {
			look(sub)
		}
	}
	look(root)
}

// A command that is continued on another line is the same command, and words in quotes
// stay together.
func TestExample(t *testing.T) {
	for _, tt := range []struct {
		line  string
		width int
		want  string
	}{
		{"  gpuplay race   what it does", 40, "  gpuplay race   what it does\n"},
		{"  gpuplay race --size 4096   what it does", 30, "  gpuplay race --size 4096\n      what it does\n"},
		{`  gpuplay llm --prompt "Say hello in Finnish." --tokens 128`, 40, "  gpuplay llm --prompt \\\n    \"Say hello in Finnish.\" --tokens 128\n"},
	} {
		var b strings.Builder
		if example(&b, tt.line, tt.width); b.String() != tt.want {
			t.Errorf("%q, want %q", b.String(), tt.want)
		}
	}
}
