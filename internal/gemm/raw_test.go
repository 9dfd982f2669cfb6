package gemm

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
)

var rawMacro = regexp.MustCompile(`(?m)^// (.+)\n#define (\w+)\(([^)]*)\)`)

// TestRawInstructions assembles the instructions that are encoded by hand, with
// every value of every operand, and compares what objdump makes of them with the
// mnemonic above each macro.
func TestRawInstructions(t *testing.T) {
	for _, tt := range []struct {
		arch, objdump string
		options       []string
	}{
		{"amd64", "x86_64-linux-gnu-objdump", []string{"-m", "i386:x86-64", "-M", "intel"}},
		{"arm64", "aarch64-linux-gnu-objdump", []string{"-m", "aarch64"}},
	} {
		t.Run(tt.arch, func(t *testing.T) {
			objdump, err := exec.LookPath(tt.objdump)
			if err != nil {
				enginetest.Require(t, "objdump", "no "+tt.objdump+": apt install binutils-"+strings.ReplaceAll(strings.TrimSuffix(tt.objdump, "-linux-gnu-objdump"), "_", "-")+"-linux-gnu")
			}
			calls, want := rawCalls(t, tt.arch)
			got := disassemble(t, objdump, tt.options, assemble(t, tt.arch, calls))
			if len(got) < len(want) {
				t.Fatalf("%d instructions of %d", len(got), len(want))
			}
			for i, w := range want {
				if got[i] != w {
					t.Errorf("%s is %q, not %q", calls[i], got[i], w)
				}
			}
		})
	}
}

// rawCalls returns calls of every macro in an architecture's header and the
// instruction that each stands for.
func rawCalls(t *testing.T, arch string) (calls, want []string) {
	header, err := os.ReadFile("raw_" + arch + ".h")
	if err != nil {
		t.Fatal(err)
	}
	macros := rawMacro.FindAllStringSubmatch(string(header), -1)
	if len(macros) != strings.Count(string(header), "#define") || len(macros) == 0 {
		t.Fatalf("raw_%s.h has %d macros, %d with a mnemonic above", arch, strings.Count(string(header), "#define"), len(macros))
	}
	for _, m := range macros {
		mnemonic, name, args := m[1], m[2], strings.Split(strings.ReplaceAll(m[3], " ", ""), ",")
		if m[3] == "" {
			calls, want = append(calls, name+"()"), append(want, mnemonic)
			continue
		}
		for varied, arg := range args {
			for n := range numbers(mnemonic, arg) {
				values := make([]string, len(args))
				text := mnemonic
				for i, a := range args {
					value := (n*7 + 5*i + 1) % numbers(mnemonic, a)
					if i == varied {
						value = n
					}
					values[i] = strconv.Itoa(value)
					text = strings.ReplaceAll(text, "{"+a+"}", values[i])
				}
				if strings.HasPrefix(mnemonic, "tdp") && len(slices.Compact(slices.Sorted(slices.Values(values)))) < len(values) {
					continue // not an instruction: the tiles must differ
				}
				calls = append(calls, name+"("+strings.Join(values, ", ")+")")
				want = append(want, text)
			}
		}
	}
	return calls, want
}

// numbers returns how many values an argument can have: registers, or lanes of a
// register.
func numbers(mnemonic, arg string) int {
	switch {
	case strings.Contains(mnemonic, ".d[{"+arg+"}]"):
		return 2
	case strings.Contains(mnemonic, "[{"+arg+"}]"):
		return 4
	case strings.Contains(mnemonic, "ymm{"+arg+"}"): // without EVEX
		return 16
	case strings.Contains(mnemonic, "tmm{"+arg+"}"):
		return 8
	}
	return 32
}

var hexColumn = regexp.MustCompile(`(?m)^\s+\S+:\d+\s+0x[0-9a-f]+\s+([0-9a-f]+)\s`)

// assemble returns the machine code of a function that consists of the given calls.
func assemble(t *testing.T, arch string, calls []string) []byte {
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, object := filepath.Join(t.TempDir(), "raw.s"), filepath.Join(t.TempDir(), "raw.o")
	text := "#include \"textflag.h\"\n#include \"raw_" + arch + ".h\"\nTEXT ·raw(SB), NOSPLIT, $0-0\n\t" + strings.Join(calls, "\n\t") + "\n\tRET\n"
	if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(arg ...string) []byte {
		cmd := exec.Command("go", append([]string{"tool"}, arg...)...)
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go tool %s: %v: %s", arg[0], err, out)
		}
		return out
	}
	run("asm", "-p", "gemm", "-I", folder, "-I", filepath.Join(strings.TrimSpace(string(root)), "pkg", "include"), "-o", object, source)
	var code []byte
	for _, m := range hexColumn.FindAllSubmatch(run("objdump", object), -1) {
		part, err := hex.DecodeString(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		if arch == "arm64" { // printed as a number
			part[0], part[1], part[2], part[3] = part[3], part[2], part[1], part[0]
		}
		code = append(code, part...)
	}
	return code
}

var objdumpLine = regexp.MustCompile(`(?m)^\s*[0-9a-f]+:\t[0-9a-f ]+\t(.*)$`)

// disassemble returns the instructions that objdump finds in code.
func disassemble(t *testing.T, objdump string, options []string, code []byte) []string {
	file := filepath.Join(t.TempDir(), "raw.bin")
	if err := os.WriteFile(file, code, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, append(options, "-D", "-z", "-b", "binary", file)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", objdump, err, out)
	}
	var found []string
	for _, m := range objdumpLine.FindAllSubmatch(out, -1) {
		found = append(found, string(bytes.Join(bytes.Fields(bytes.ReplaceAll(m[1], []byte("\t"), []byte(" "))), []byte(" "))))
	}
	return found
}
