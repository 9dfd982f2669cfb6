package gpuplay

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// A measurement ends with exit code 1 where one lane failed, so that a command joined to
// it by && would not run just when it is needed.
func TestExamplesReachTheirSecondCommand(t *testing.T) {
	joined := regexp.MustCompile(`gpuplay (race|matmul|sweep|llm|doctor)\b.*&&`)
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, "README.md", "CONTRIBUTING.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range joined.FindAll(text, -1) {
			t.Errorf("%s: %s", name, line)
		}
	}
}
