package gpuplay

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// define are the methods of pflag that define a flag, its name being the second
// argument.
var define = regexp.MustCompile(`^(String|Int|Bool|Duration|Float64|Uint64|IntSlice|StringSlice|StringArray)?VarP?$`)

// sources calls each with every Go file below a folder that is no test, parsed.
func sources(t *testing.T, folder string, each func(path string, file *ast.File, set *token.FileSet)) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err == nil {
			each(filepath.ToSlash(path), file, set)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// text returns the value of a string literal.
func text(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// flagNames returns the names of all flags that the command line defines.
func flagNames(t *testing.T) []string {
	t.Helper()
	var names []string
	sources(t, "cmd/gpuplay", func(_ string, file *ast.File, _ *token.FileSet) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && define.MatchString(sel.Sel.Name) {
				if name, ok := text(call.Args[1]); ok && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			return true
		})
	})
	if len(names) < 20 {
		t.Fatalf("only %d flags were found: %v", len(names), names)
	}
	return names
}

// foreign are the files that pass flags of these names to other programs.
var foreign = map[string][]string{
	"internal/llm/llmtest/server.go":       {"llama-server"},
	"internal/llm/llamacpp/find.go":        {"llama-server"},
	"internal/llm/llamacpp/server.go":      {"llama-server"},
	"internal/llm/llamacpp/bench.go":       {"llama-bench"},
	"internal/setup/make.go":               {"uv"},
	"internal/setup/plan.go":               {"pip", "uv"},
	"internal/setup/build.go":              {"cmake"},
	"internal/setup/machine.go":            {"uv"},
	"internal/nvidia/smi.go":               {"nvidia-smi"},
	"internal/llm/ollama/ollamatest":       {"ollama"},
	"internal/doctor/gpu.go":               {"docker", "podman"},
	"internal/doctor/fixes.go":             {"pip", "uv"},
	"internal/doctor/frameworks.go":        {"docker"},
	"internal/doctor/vulkan.go":            {"docker"},
	"internal/engine/blas/system_linux.go": {"apt"},
	"internal/lab/scale/world.go":          {"torchrun"},
}

// How a parameter is written is known to the command line alone: a page has fields.
// So nothing under internal names a flag; remedies name parameters, and those exist.
func TestOnlyCmdKnowsFlags(t *testing.T) {
	names := flagNames(t)
	flag := regexp.MustCompile(`(^|[^\w-])--(` + strings.Join(names, "|") + `)([^\w-]|$)`)
	sources(t, "internal", func(path string, file *ast.File, set *token.FileSet) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if s, ok := text(n); ok && flag.MatchString(s) && foreign[path] == nil {
					t.Errorf("%s has the flag of the command line in %q", set.Position(n.Pos()), s)
				}
			case *ast.CallExpr: // fault.Set("size", …), fault.Change("timeout", …)
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if !ok || len(n.Args) == 0 || sel.Sel.Name != "Set" && sel.Sel.Name != "Change" {
					return true
				}
				if of, ok := sel.X.(*ast.Ident); !ok || of.Name != "fault" {
					return true
				}
				if param, ok := text(n.Args[0]); ok && !slices.Contains(names, param) {
					t.Errorf("%s: a remedy names the parameter %q, which no command has", set.Position(n.Pos()), param)
				}
			case *ast.KeyValueExpr: // fault.Remedy{Param: "size"}
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Param" {
					if param, ok := text(n.Value); ok && param != "" && !slices.Contains(names, param) {
						t.Errorf("%s: a remedy names the parameter %q, which no command has", set.Position(n.Pos()), param)
					}
				}
			}
			return true
		})
	})
	python, err := filepath.Glob("internal/python/*.py")
	if err != nil || len(python) == 0 {
		t.Fatal("no Python workers", err)
	}
	param := regexp.MustCompile(`(?:change\(|"param": )"([\w-]+)"`)
	for _, path := range python {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(source), "\n") {
			if code, _, _ := strings.Cut(line, "#"); flag.MatchString(code) && !strings.Contains(code, "pip") {
				t.Errorf("%s:%d has a flag of the command line: %s", path, i+1, strings.TrimSpace(line))
			}
			for _, m := range param.FindAllStringSubmatch(line, -1) {
				if !slices.Contains(names, m[1]) {
					t.Errorf("%s:%d: a remedy names the parameter %q, which no command has", path, i+1, m[1])
				}
			}
		}
	}
}
