package blas

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
)

// Three things differ by system and lie in system_*.go: files, the names that
// each kind's libraries go by; folders, where package managers put them beyond
// the loader's own search; fixes, how to install them. Names are patterns,
// relative to a folder; those without a slash or a star are also looked up by
// the system's loader.

// A finder collects the libraries of one search.
type finder struct {
	threads  int
	settings []string
	found    map[*kind][]*library
	missing  []hardware.Missing
	tried    map[string]bool  // files, since patterns overlap
	seen     map[uintptr]bool // libraries by the address of a function, since one file has many names
}

// find loads every library that the options and the system lead to. One that was named
// and cannot be used is an error: another one must not be measured in its place.
func find(o Options) ([]*library, []hardware.Missing, error) {
	f := finder{
		threads:  o.Threads,
		settings: o.Settings,
		found:    map[*kind][]*library{},
		tried:    map[string]bool{},
		seen:     map[uintptr]bool{},
	}
	for _, file := range o.Libraries {
		if err := f.load(file); err != nil {
			return nil, nil, fault.Errorf(fault.Invalid, "GPUPLAY_BLAS names a library that cannot be used: %v", named(file, err)).
				With(fault.Advice("it can name the file of an OpenBLAS, MKL, oneDNN, BLIS or Accelerate")...)
		}
	}
	for _, k := range kinds {
		for _, dir := range append(o.Dirs[:len(o.Dirs):len(o.Dirs)], folders...) {
			for _, pattern := range files[k.api] {
				for _, path := range disk.Match(dir, pattern) {
					f.file(k.api, path)
				}
			}
		}
	}
	var all []*library
	for _, k := range kinds {
		f.system(k)
		all = append(all, f.found[k]...)
	}
	return all, f.missing, nil
}

// file adds the library in that file, or notes why not.
func (f *finder) file(api, path string) {
	if err := f.load(path); err != nil {
		reason := strings.ReplaceAll(err.Error(), filepath.Dir(path)+string(filepath.Separator), "")
		f.missing = append(f.missing, hardware.Missing{API: api, Kind: hardware.CPU, Reason: named(filepath.Base(path), reason), Remedies: remedies(api, err)})
	}
}

// named begins what is wrong with a file with its name, which the loader's words may
// lack: they may be about another one that it depends on.
func named(file string, what any) string {
	if text := fmt.Sprint(what); strings.HasPrefix(text, file) {
		return text
	}
	return fmt.Sprintf("%s: %v", file, what)
}

// load adds the library in that file.
func (f *finder) load(path string) error {
	path, err := filepath.Abs(path)
	if err != nil || f.tried[path] {
		return err
	}
	f.tried[path] = true
	preload(path, map[string]bool{})
	return f.open(path)
}

// system adds what the system's loader finds of a kind. The kind is missing if
// that is nothing and no file of it was seen before.
func (f *finder) system(k *kind) {
	var names []string
	var errs []error
	for _, name := range files[k.api] {
		if strings.ContainsAny(name, "/*") && !filepath.IsAbs(name) {
			continue
		}
		names = append(names, name)
		if err := f.open(name); err != nil && !dl.Absent(name, err) {
			errs = append(errs, err)
		}
	}
	known := slices.ContainsFunc(f.missing, func(m hardware.Missing) bool { return m.API == k.api })
	if len(f.found[k]) > 0 || known || len(names) == 0 {
		return
	}
	m := hardware.Missing{API: k.api, Kind: hardware.CPU, Reason: "no " + strings.Join(names, ", "), Remedies: fixes[k.api]}
	if err := errors.Join(errs...); err != nil {
		m.Reason, m.Remedies = err.Error(), remedies(k.api, err)
	}
	f.missing = append(f.missing, m)
}

// remedies returns those that an error has, else how to install a library of a kind.
func remedies(api string, err error) fault.Remedies {
	var e *fault.Error
	if errors.As(err, &e) && len(e.Remedies) > 0 {
		return e.Remedies
	}
	return fixes[api]
}

// open adds the library of that name, unless it is known already.
func (f *finder) open(name string) error {
	l, err := dl.Open(name)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		mark := k.mark(l)
		if mark == 0 {
			continue
		}
		if f.seen[mark] {
			return nil
		}
		f.seen[mark] = true
		lib, err := k.bind(l, f.threads)
		if err != nil {
			return fmt.Errorf("%s: %w", k.library, err)
		}
		lib.kind, lib.device.File = k, k.path(l)
		if lib.threads > 0 && f.threads > 0 && lib.threads != f.threads {
			lib.notes = append(lib.notes, fmt.Sprintf("%s was asked for %d threads and has %d", k.library, f.threads, lib.threads))
		}
		if f.threads == 0 {
			cores, _, cpus := host.Cores()
			if note := fewer(k.api, lib.threads, cmp.Or(cores, (cpus+1)/2), f.settings); note != "" {
				lib.notes = append(lib.notes, note)
			}
		}
		f.found[k] = append(f.found[k], lib)
		return nil
	}
	return fmt.Errorf("%s: no BLAS that this engine knows", name)
}

// preload loads the libraries beside an ELF file that it depends on, before the
// file itself. Wheels put the parts of a library into one folder and count on
// LD_LIBRARY_PATH, which the loader reads only when a process starts; but it
// takes any part that is loaded already. What fails here fails again, with
// words, when the file is loaded.
func preload(path string, seen map[string]bool) {
	file, err := elf.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	needed, _ := file.ImportedLibraries()
	for _, name := range needed {
		part := filepath.Join(filepath.Dir(path), name)
		if _, err := os.Stat(part); err != nil || seen[part] {
			continue
		}
		seen[part] = true
		preload(part, seen)
		_, _ = dl.Open(part)
	}
}
