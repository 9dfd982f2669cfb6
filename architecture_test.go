// Package gpuplay holds the rules of the architecture as tests.
package gpuplay

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

type goPackage struct {
	ImportPath, Name, Dir, Doc string
	GoFiles                    []string
	Imports                    []string
	TestImports, XTestImports  []string
}

// packages lists the module as the go command sees it on a system.
func packages(t *testing.T, goos, goarch string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,Doc,GoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// module is the project's own path, as go.mod has it; internal is where its packages
// are.
var (
	module   = modulePath()
	internal = module + "/internal/"
)

func modulePath() string {
	out, err := exec.Command("go", "list", "-m").Output()
	if err != nil {
		panic(err) // without it no rule means anything
	}
	return strings.TrimSpace(string(out))
}

// rules say what a package may not import.
var rules = []struct {
	rule      string
	packages  func(path string) bool
	forbidden func(path, imported string) bool
}{
	{"nothing imports cmd", all, func(_, imported string) bool { return strings.HasPrefix(imported, module+"/cmd/") }},
	{"only cmd and web import labs", func(path string) bool { return !within(path, "lab", "web") && !isCommand(path) }, func(_, imported string) bool { return within(imported, "lab") }},
	{"the terminal emulator is for tests and scripts", func(path string) bool { return !strings.HasPrefix(path, module+"/scripts/") }, func(_, imported string) bool { return within(imported, "screen") }},
	{"the page is served by the command line alone", func(path string) bool { return !isCommand(path) }, func(_, imported string) bool { return within(imported, "web") }},
	{"labs know no renderer", below("lab"), func(_, imported string) bool { return within(imported, "encode", "term", "card", "store", "web") }},
	{"labs never import one another", below("lab"), func(path, imported string) bool {
		return within(imported, "lab") && imported != internal+"lab" && !strings.HasPrefix(path+"/", imported+"/")
	}},
	{"what reads records starts nothing", below("judge", "encode", "term", "card", "store", "foreign"), func(_, imported string) bool {
		return within(imported, "engine", "worker", "python", "catalog", "lab", "ffi", "gemm", "process")
	}},
	{"judging comes before writing, and writing before neither", is("judge"), func(_, imported string) bool { return within(imported, "encode", "term", "card") }},
	{"encoders and the terminal are apart", is("encode"), func(_, imported string) bool { return within(imported, "term") }},
	{"domains know neither engines nor processes, and nobody who reads records", below("bench", "llm", "train", "measure", "event", "hardware", "fault", "record"), func(path, imported string) bool {
		if within(path, "llm") && path != internal+"llm" { // runtimes
			return within(imported, "lab", "catalog", "judge", "encode", "term", "record")
		}
		return within(imported, "engine", "store", "telemetry", "web", "worker", "python", "ffi", "process", "catalog", "lab", "judge", "encode", "term", "card")
	}},
	{"engines never import one another", below("engine"), func(path, imported string) bool {
		return within(imported, "engine") && imported != path
	}},
	{"llm imports no runtime", is("llm"), func(_, imported string) bool { return within(imported, "llm") }},
	{"runtimes never import one another", func(path string) bool { return within(path, "llm") && path != internal+"llm" }, func(path, imported string) bool {
		return within(imported, "llm") && imported != internal+"llm" && !strings.HasPrefix(path+"/", imported+"/")
	}},
	{"references are shown by the command line alone", func(path string) bool { return !isCommand(path) && !within(path, "reference") }, func(_, imported string) bool { return within(imported, "reference") }},
	{"only ffi/dl imports purego", not(is("ffi/dl")), func(_, imported string) bool {
		return strings.HasPrefix(imported, "github.com/ebitengine/purego")
	}},
	{"verdicts are about numbers alone", is("verdict"), func(_, imported string) bool {
		return strings.HasPrefix(imported, module+"/") && !within(imported, "stats", "measure")
	}},
	{"units, statistics and matrices stand on the standard library", is("unit", "stats", "matrix", "plain"), func(_, imported string) bool {
		first, _, _ := strings.Cut(imported, "/")
		return strings.Contains(first, ".")
	}},
	{"gemm and roof know nothing of gpuplay but the CPU's layout", is("gemm", "roof"), func(_, imported string) bool {
		return strings.HasPrefix(imported, module+"/") && !within(imported, "topology")
	}},
	{"network knows nothing of gpuplay but its products", is("network"), func(_, imported string) bool {
		return strings.HasPrefix(imported, module+"/") && !within(imported, "gemm")
	}},
	{"gpt knows nothing of gpuplay but its products and small networks", is("gpt"), func(_, imported string) bool {
		return strings.HasPrefix(imported, module+"/") && !within(imported, "gemm", "network")
	}},
	{"topology knows nothing of gpuplay", is("topology"), func(_, imported string) bool { return strings.HasPrefix(imported, module+"/") }},
}

// isCommand reports whether a package is a program.
func isCommand(path string) bool { return strings.HasPrefix(path, module+"/cmd/") }

func all(string) bool { return true }

func is(names ...string) func(string) bool {
	return func(path string) bool { return slices.Contains(names, strings.TrimPrefix(path, internal)) }
}

// below returns whether a package is one of those or below it.
func below(names ...string) func(string) bool {
	return func(path string) bool { return within(path, names...) }
}

func not(f func(string) bool) func(string) bool { return func(path string) bool { return !f(path) } }

// within reports whether a package is one of those or below it.
func within(path string, names ...string) bool {
	rest, ours := strings.CutPrefix(path, internal)
	return ours && slices.ContainsFunc(names, func(n string) bool { return rest == n || strings.HasPrefix(rest, n+"/") })
}

func TestImports(t *testing.T) {
	for _, system := range [][2]string{{"linux", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}} {
		for _, p := range packages(t, system[0], system[1]) {
			for _, r := range rules {
				if !r.packages(p.ImportPath) {
					continue
				}
				for _, imported := range p.Imports {
					if r.forbidden(p.ImportPath, imported) {
						t.Errorf("%s on %s imports %s: %s", p.ImportPath, system[0], imported, r.rule)
					}
				}
			}
		}
	}
}

// testPackages are made for tests.
var testPackages = []string{"engine/fake", "engine/enginetest", "golden", "hub/hubtest", "lab/labtest", "llm/framework/frameworktest", "llm/llmtest", "llm/ollama/ollamatest", "model/modeltest", "record/recordtest"}

// The program's list of engines must not hold the fake one, nor any package but
// tests use what is made for tests.
func TestOnlyTestsUseTestPackages(t *testing.T) {
	for _, p := range packages(t, "linux", "amd64") {
		for _, imported := range p.Imports {
			if within(imported, testPackages...) && !within(p.ImportPath, testPackages...) {
				t.Errorf("%s imports %s outside its tests", p.ImportPath, imported)
			}
		}
	}
}

// Every engine passes the one conformance suite.
func TestEveryEngineConforms(t *testing.T) {
	for _, p := range packages(t, "linux", "amd64") {
		if !within(p.ImportPath, "engine") || within(p.ImportPath, "engine/fake", "engine/enginetest") {
			continue
		}
		if !slices.Contains(slices.Concat(p.TestImports, p.XTestImports), internal+"engine/enginetest") {
			t.Errorf("%s does not run enginetest", p.ImportPath)
		}
	}
}

var readsEnvironment = regexp.MustCompile(`\bos\.(Getenv|LookupEnv|Environ|ExpandEnv)\b`)

// Only cmd reads the environment, so that what a package does follows from its
// arguments.
func TestOnlyCmdReadsTheEnvironment(t *testing.T) {
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, p := range packages(t, system, "amd64") {
			if isCommand(p.ImportPath) || within(p.ImportPath, "engine/enginetest", "llm/llmtest", "llm/ollama/ollamatest", "llm/framework/frameworktest") { // which tests use
				continue
			}
			for _, name := range p.GoFiles {
				text, err := os.ReadFile(filepath.Join(p.Dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if found := readsEnvironment.Find(text); found != nil {
					t.Errorf("%s/%s has %s", p.ImportPath, name, found)
				}
			}
		}
	}
}

func TestEveryPackageHasADoc(t *testing.T) {
	for _, p := range packages(t, "linux", "amd64") {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
