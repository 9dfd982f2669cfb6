package dl

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// always returns the names of two libraries that exist on every machine: the C
// library and its math library.
func always(t *testing.T) (libc, libm string) {
	t.Helper()
	switch runtime.GOOS {
	case "darwin":
		return "/usr/lib/libSystem.B.dylib", "/usr/lib/libSystem.B.dylib"
	case "windows":
		return "ucrtbase.dll", "ucrtbase.dll"
	}
	return "libc.so.6", "libm.so.6"
}

func open1(t *testing.T, name string) Library {
	t.Helper()
	l, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCall(t *testing.T) {
	libc, libm := always(t)

	abs, err := open1(t, libc).Sym("labs")
	if err != nil {
		t.Fatal(err)
	}
	if got := Call(abs, 42); got != 42 {
		t.Errorf("labs(42) = %d", got)
	}

	var cos func(float64) float64
	if err := open1(t, libm).Register(&cos, "cos"); err != nil {
		t.Fatal(err)
	}
	if got := cos(1); math.Abs(got-math.Cos(1)) > 1e-15 {
		t.Errorf("cos(1) = %v, want %v", got, math.Cos(1))
	}
}

func TestPath(t *testing.T) {
	libc, _ := always(t)
	l := open1(t, libc)
	if got := filepath.Base(l.Path("labs")); runtime.GOOS == "linux" && got != libc {
		t.Errorf("Path(labs) = %q, want a file named %s", l.Path("labs"), libc)
	} else if !filepath.IsAbs(l.Path("labs")) {
		t.Errorf("Path(labs) = %q, want an absolute path", l.Path("labs"))
	}
	if got := l.Path("gpuplay_no_such_symbol"); got != "" {
		t.Errorf("Path of a missing symbol = %q", got)
	}
}

func TestErrors(t *testing.T) {
	libc, _ := always(t)
	l := open1(t, libc)
	fn := func() {}
	var number int
	broken := filepath.Join(t.TempDir(), "broken.so")
	if err := os.WriteFile(broken, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, missingFile := Open("gpuplay-no-such-library")
	_, brokenFile := Open(broken)
	_, missingSymbol := l.Sym("gpuplay_no_such_symbol")
	for _, c := range []struct {
		name, names string // the message must contain names
		err         error
	}{
		{"missing file", "gpuplay-no-such-library", missingFile},
		{"broken file", "broken.so", brokenFile},
		{"missing symbol", libc, missingSymbol},
		{"register missing symbol", libc, l.Register(&fn, "gpuplay_no_such_symbol")},
		{"register what is no function", "*int", l.Register(&number, "labs")},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.names) {
			t.Errorf("%s: error %v, want one that names %s", c.name, c.err, c.names)
		}
	}
	if !l.Has("labs") || l.Has("labs", "gpuplay_no_such_symbol") {
		t.Error("Has is wrong about libc")
	}
}

// The first library that exists is opened; one that cannot be loaded is not passed over.
func TestOpenFirst(t *testing.T) {
	libc, _ := always(t)
	broken := filepath.Join(t.TempDir(), "broken.so")
	if err := os.WriteFile(broken, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	const name = "gpuplay-none"
	file := filepath.Join(t.TempDir(), "none.so")
	for _, tt := range []struct {
		names []string
		opens string // empty: none
		says  string // the error
	}{
		{[]string{name, libc, broken}, libc, ""},
		{[]string{name}, "", ""},
		{nil, "", ""},
		{[]string{name, broken, libc}, "", broken},
	} {
		l, found, err := OpenFirst(tt.names)
		if found != (tt.opens != "") || l.Name() != tt.opens || (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: %q, %t, %v", tt.names, l.Name(), found, err)
		}
	}
	if runtime.GOOS == "linux" { // whose drivers are also looked for by path
		if l, found, err := OpenFirst([]string{file, libc}); err != nil || !found || l.Name() != libc {
			t.Errorf("%q, %t, %v", l.Name(), found, err)
		}
	}
}

func TestRegisterFields(t *testing.T) {
	libc, _ := always(t)
	l := open1(t, libc)
	type functions struct {
		Abs   func(int) int `c:"labs"`
		Newer func()        `c:"gpuplay_no_such_symbol" since:"2"`
		Other int
	}
	var f functions
	if err := l.RegisterFields(&f, "c"); err != nil || f.Abs(42) != 42 || f.Newer != nil {
		t.Errorf("%+v, %v", f, err)
	}
	var lacks struct {
		Lacks func() `c:"gpuplay_no_such_symbol"`
	}
	if err := l.RegisterFields(&lacks, "c"); err == nil || !strings.Contains(err.Error(), "gpuplay_no_such_symbol") {
		t.Error(err)
	}
}

// labs returns a function of libc that does next to nothing.
func labs(b *testing.B) uintptr {
	b.Helper()
	l, err := Open("libc.so.6")
	if err != nil {
		b.Skip(err)
	}
	abs, err := l.Sym("labs")
	if err != nil {
		b.Fatal(err)
	}
	return abs
}

func BenchmarkCall(b *testing.B) {
	abs := labs(b)
	args := [15]uintptr{42}
	b.ReportAllocs()
	for b.Loop() {
		Call(abs, args[:]...)
	}
}
