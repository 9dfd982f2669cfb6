package main

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/doctor"
	"github.com/gpuplay/gpuplay/internal/term"
)

// environment is what the program takes from its surroundings. It is read here and in
// places.go, and nowhere else.
type environment struct {
	engines catalog.Environment // what engines are found by, and what their processes inherit
	models  modelEnvironment    // where models are kept and come from
	doctor  map[string]string   // variables of others that change results
	data    string              // the folder for what gpuplay keeps; "": not known
	trace   bool                // GPUPLAY_DEBUG=worker: the traffic with workers is shown
	color   bool                // neither NO_COLOR nor TERM=dumb
	unicode bool                // the locale can show it
}

func readEnvironment() environment {
	e := environment{
		engines: catalog.Environment{
			VirtualEnv: os.Getenv("VIRTUAL_ENV"),
			Pythons:    map[string]string{}, // GPUPLAY_TORCH_PYTHON and its like, by variable
			BLAS:       slices.DeleteFunc(filepath.SplitList(os.Getenv("GPUPLAY_BLAS")), func(file string) bool { return file == "" }),
			LlamaCPP:   os.Getenv("GPUPLAY_LLAMA_CPP"),
			Children:   os.Environ(),
		},
		models:  readModelEnvironment(),
		doctor:  map[string]string{},
		color:   os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		unicode: utf8Locale(),
	}
	e.engines.Folder, _ = os.Getwd()
	if e.data = ownData(); e.data != "" {
		e.engines.Own = filepath.Join(e.data, "python")
	}
	if cache, err := os.UserCacheDir(); err == nil {
		e.engines.Cache = filepath.Join(cache, "gpuplay", "kernels")
	}
	for _, pair := range e.engines.Children {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "GPUPLAY_") && strings.HasSuffix(name, "_PYTHON") {
			e.engines.Pythons[name] = value
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

// ownData returns the folder for what gpuplay keeps, "" when it is not known:
// GPUPLAY_DATA, or one within the user's.
func ownData() string {
	if own := os.Getenv("GPUPLAY_DATA"); own != "" {
		if path, err := filepath.Abs(own); err == nil {
			return path
		}
	}
	if data := dataDir(); data != "" {
		return filepath.Join(data, "gpuplay")
	}
	return ""
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
		if dir = xdg("XDG_DATA_HOME"); dir == "" {
			if home, err := os.UserHomeDir(); err == nil {
				dir = filepath.Join(home, ".local", "share")
			}
		}
	}
	return dir
}

// xdg returns the folder that a variable of the XDG Base Directory Specification names.
// A path that is not absolute is to be ignored: "All paths set in these environment
// variables must be absolute."
func xdg(name string) string {
	if dir := os.Getenv(name); filepath.IsAbs(dir) {
		return dir
	}
	return ""
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
func (e environment) style(w io.Writer) term.Style {
	s := term.Style{Width: 80, Unicode: e.unicode, Words: commandLine{e.engines.Folder}}
	if width, ok := terminal(w); ok {
		s.Width, s.Color = width, e.color
		_, s.Lines = window(w)
	}
	return s
}

// onTerminal returns lines that change on out, nil if that is no terminal. Ctrl-Z takes
// them off it before it stops the program, until end is called.
func onTerminal(out io.Writer, style term.Style) (live *term.Live, end func()) {
	if _, ok := terminal(out); !ok {
		return nil, nil
	}
	live = term.NewLive(out, style, func() (columns, lines int) { return window(out) })
	return live, suspending(live.Suspend)
}
