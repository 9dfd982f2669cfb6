package gpuplay

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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

// Every rule of docs/MEASURING.md has mutants under its number, every section that names
// some has them, and each mutant applies to the file that it names.
func TestRulesHaveMutants(t *testing.T) {
	text, err := os.ReadFile("docs/MEASURING.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^([0-9]+)\\. \\*\\*|-only ([a-z]+)`").FindAllStringSubmatch(string(text), -1) {
		rules[m[1]+m[2]] = 0
	}
	if len(rules) < 12 {
		t.Fatalf("rules %v", rules)
	}
	lists, err := filepath.Glob(".ci/mutants/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	mutant := regexp.MustCompile(`(?s)rule: ([^\n:]*)[^\n]*\nfile: ([^\n]*)\ntest: [^\n]*\n<<<<\n(.*?)\n====\n`)
	for _, name := range lists {
		list, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all := mutant.FindAllStringSubmatch(string(list), -1)
		if n := strings.Count(string(list), "<<<<\n"); n != len(all) {
			t.Errorf("%s: %d of %d mutants have rule, file and test, in this order", name, len(all), n)
		}
		for _, m := range all {
			if _, known := rules[m[1]]; !known {
				t.Errorf("%s: docs/MEASURING.md has no rule %q", name, m[1])
			}
			rules[m[1]]++
			if source, err := os.ReadFile(m[2]); err != nil || !strings.Contains(string(source), m[3]) {
				t.Errorf("%s: a mutant of rule %s no longer applies to %s (%v):\n%s", name, m[1], m[2], err, m[3])
			}
		}
	}
	for rule, n := range rules {
		if n == 0 {
			t.Errorf("rule %s has no mutant", rule)
		}
	}
}

// docs/DEPENDENCIES.md says why each module that go.mod requires directly is there, and
// under which licence.
func TestDependenciesHaveReasons(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	tools, err := exec.Command("go", "list", "-f", "{{with .Module}}{{.Path}}{{end}}", "tool").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("docs/DEPENDENCIES.md")
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{}
	for _, path := range strings.Fields(string(out) + string(tools)) {
		wanted[path] = true
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [A-Za-z0-9.-]+ \\| .").FindAllStringSubmatch(string(text), -1) {
		if !wanted[m[1]] {
			t.Errorf("docs/DEPENDENCIES.md has %s, which go.mod does not require", m[1])
		}
		delete(wanted, m[1])
	}
	for path := range wanted {
		t.Errorf("docs/DEPENDENCIES.md does not say why %s is there, or not its licence", path)
	}
}

// Every picture of the documentation is made by a command in .ci/pictures.
func TestPicturesAreMade(t *testing.T) {
	script, err := os.ReadFile(".ci/pictures")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	picture := regexp.MustCompile(`!\[[^\]]*\]\(([^)\s]+)\)|<img[^>]*src="([^"]+)"`)
	count := 0
	for _, name := range append(files, "README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range picture.FindAllStringSubmatch(string(text), -1) {
			count++
			path := filepath.ToSlash(filepath.Join(filepath.Dir(name), m[1]+m[2]))
			if !strings.Contains(string(script), "\npicture "+path+" ") {
				t.Errorf("%s shows %s, for which .ci/pictures has no command", name, path)
			}
		}
	}
	if count == 0 {
		t.Error("no pictures were found")
	}
}
