package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/plain"
)

func TestCommandLine(t *testing.T) {
	for _, tt := range []struct {
		remedy fault.Remedy
		want   string
	}{
		{fault.Set("size", 8960, "the largest size that fits"), "the largest size that fits: --size 8960"},
		{fault.Change("timeout", "{} allows more time"), "--timeout allows more time"},
		{fault.Set("device", "", ""), "--device"},
		{fault.Run("", "gpuplay", "setup", "jax"), "gpuplay setup jax"},
		{fault.Remedy{Text: "words alone"}, "words alone"},
	} {
		if got := tt.remedy.Words(commandLine{}); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.remedy, got, tt.want)
		}
	}
}

// Paths below the working folder are written as they are typed there.
func TestCommandLineShortens(t *testing.T) {
	folder := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(folder, "adapters"): "adapters", filepath.Join(folder, "a", "b c"): quote(filepath.Join("a", "b c")),
		filepath.Dir(folder): filepath.Dir(folder), filepath.Join(folder, "-x"): filepath.Join(folder, "-x"), "as/typed": "as/typed",
	} {
		if got := (commandLine{folder}).Command([]string{"gpuplay", path}); got != "gpuplay "+want {
			t.Errorf("%s is shown as %q, want %q", path, got, want)
		}
		if got := (commandLine{folder}).Param("adapter", path); got != "--adapter "+want {
			t.Errorf("%s is shown as %q, want %q", path, got, want)
		}
	}
}

// hostile are words that a shell would read something into.
var hostile = []string{"", "two words", "it's", `a"b`, "$HOME", "`date`", "a;b", "~", "*", "{a,b}", "#", "!x", `back\slash`, "line\nbreak", "-x", "ü", "a&b", "'", "\x1b[2J\a", "\u202e\u009b", "it's\r\n", "\t"}

// What is quoted arrives as it is, by the shell's own word.
func TestQuotePOSIX(t *testing.T) {
	for word, want := range map[string]string{
		"plain": "plain", "a/b-c_d.1:2,3=4+5@6%7": "a/b-c_d.1:2,3=4+5@6%7", "": "''", "two words": "'two words'", "it's": `'it'"'"'s'`, "~/x": "'~/x'",
		"new\nline": `$'new\012line'`, "\x1b[2J'\\": `$'\033[2J\047\134'`, "ü\u202e": `$'\303\274\342\200\256'`,
	} {
		if got := quotePOSIX(word); got != want {
			t.Errorf("%q is quoted as %s, want %s", word, got, want)
		}
	}
	sh, err := exec.LookPath("bash") // not every sh has $'…' yet
	if err != nil {
		t.Skip("no bash")
	}
	for _, word := range hostile {
		out, err := exec.Command(sh, "-c", "printf %s "+quotePOSIX(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q arrives as %q, %v", word, out, err)
		}
		if quoted := quotePOSIX(word); plain.Line(quoted) != quoted {
			t.Errorf("%q is quoted as %q, which is shown otherwise", word, quoted)
		}
	}
}

func TestQuoteWindows(t *testing.T) {
	for word, want := range map[string]string{
		`C:\models\a.gguf`: `C:\models\a.gguf`, `C:\my models\a.gguf`: `"C:\my models\a.gguf"`, "plain": "plain", "": `""`,
	} {
		if got := quoteWindows(word); got != want {
			t.Errorf("%q is quoted as %s, want %s", word, got, want)
		}
	}
}
