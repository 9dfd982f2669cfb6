package main

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/gpuplay/gpuplay/internal/doctor"
	"github.com/gpuplay/gpuplay/internal/report"
)

// environment is what the program takes from its surroundings. It is read here
// and nowhere else.
type environment struct {
	folder     string            // the working folder
	own        string            // where gpuplay's own Python environments are
	virtualEnv string            // an active Python environment
	pythons    map[string]string // GPUPLAY_TORCH_PYTHON and its like, by variable
	blas       []string          // GPUPLAY_BLAS: library files
	llamaCPP   string            // GPUPLAY_LLAMA_CPP: a folder with llama-server
	doctor     map[string]string // variables of others that change results
	trace      bool              // GPUPLAY_DEBUG=worker
	color      bool              // neither NO_COLOR nor TERM=dumb
	unicode    bool              // the locale can show it
	models     modelEnvironment  // where models are kept and come from
	children   []string          // what child processes inherit
}

func readEnvironment() environment {
	e := environment{
		virtualEnv: os.Getenv("VIRTUAL_ENV"),
		pythons:    map[string]string{},
		blas:       filepath.SplitList(os.Getenv("GPUPLAY_BLAS")),
		llamaCPP:   os.Getenv("GPUPLAY_LLAMA_CPP"),
		doctor:     map[string]string{},
		color:      os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		unicode:    utf8Locale(),
		models:     readModelEnvironment(),
		children:   os.Environ(),
	}
	e.folder, _ = os.Getwd()
	if data := dataDir(); data != "" {
		e.own = filepath.Join(data, "gpuplay", "python")
	}
	for _, pair := range e.children {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "GPUPLAY_") && strings.HasSuffix(name, "_PYTHON") {
			e.pythons[name] = value
		}
		if slices.Contains(doctor.Variables(), name) {
			e.doctor[name] = value
		}
	}
	for what := range strings.SplitSeq(os.Getenv("GPUPLAY_DEBUG"), ",") {
		e.trace = e.trace || what == "worker"
	}
	return e
}

// dataDir returns the folder for what programs keep for their user, "" when it is
// not known. Environments of gigabytes are no cache, which may be cleared any time.
func dataDir() string {
	var dir string
	switch runtime.GOOS {
	case "windows":
		dir, _ = os.UserCacheDir() // LocalAppData
	case "darwin":
		dir, _ = os.UserConfigDir() // Library/Application Support
	default:
		if dir = os.Getenv("XDG_DATA_HOME"); dir == "" { // XDG Base Directory Specification
			if home, err := os.UserHomeDir(); err == nil {
				dir = filepath.Join(home, ".local", "share")
			}
		}
	}
	return dir
}

// utf8Locale reports whether the terminal shows UTF-8, by the variables in
// their order of precedence. Windows consoles and Macs do.
func utf8Locale() bool {
	if runtime.GOOS != "linux" {
		return true
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(os.Getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// style says what w can show.
func (e environment) style(w io.Writer) report.Style {
	s := report.Style{Width: 80, Unicode: e.unicode}
	if width, ok := terminal(w); ok {
		s.Width, s.Color = width, e.color
	}
	return s
}

// terminal returns the columns of the terminal that w, a file, leads to, if it does.
func terminal(w any) (width int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return width, true
}
