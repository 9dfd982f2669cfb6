package python

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/disk"
)

// needs are modules without which one of the others cannot be imported: the native half
// of JAX is a package of its own, and mlx is a folder that several packages share.
var needs = map[string]string{"jax": "jaxlib", "mlx": "mlx.core"}

// modules are all that an interpreter is asked for.
func modules() []string {
	names := []string{"pip"}
	for _, f := range Frameworks {
		names = append(names, f.Name)
		if f.Models != "" {
			names = append(names, f.Models)
		}
		if part := needs[f.Name]; part != "" {
			names = append(names, part)
		}
	}
	return names
}

// Has reports whether a module is there, and why it cannot work, as far as that shows
// without importing it, which takes seconds.
func (e Environment) Has(module string) (there bool, broken error) {
	m, there := e.Modules[module]
	if !there {
		return false, nil
	}
	if part := needs[module]; part != "" {
		p, ok := e.Modules[part]
		if !ok || p.File == "" {
			return true, fmt.Errorf("%s without %s", module, part)
		}
		m.Folders = append(m.Folders[:len(m.Folders):len(m.Folders)], p.Folders...)
	} else if m.File == "" && len(m.Folders) > 0 {
		return true, fmt.Errorf("%s is a folder without a package in it, as an interrupted installation leaves", m.Folders[0])
	}
	if module == "mlx" {
		if err := libmlx(m.Folders); err != nil {
			return true, err
		}
	}
	for _, folder := range m.Folders {
		if err := e.misfit(folder); err != nil {
			return true, err
		}
	}
	return true, nil
}

// libmlx reports the native library of MLX missing: since 0.28 it is in another package,
// which an extra chooses (https://github.com/ml-explore/mlx/issues/2390).
func libmlx(folders []string) error {
	wheel := false
	for _, folder := range folders {
		if found := disk.Match(filepath.Join(folder, "lib"), "*mlx.*"); len(found) > 0 {
			return nil
		}
		wheel = wheel || len(disk.Match(filepath.Dir(folder), "mlx-*.dist-info")) > 0
	}
	if !wheel { // built here, in a way that is not known
		return nil
	}
	return errors.New("mlx without its library, libmlx")
}

// misfit says of the wheels that brought a package's folder what keeps them from being
// imported: they are for another Python, or a native library of theirs is gone. What was
// installed in another way says nothing of itself.
func (e Environment) misfit(folder string) error {
	site, name := filepath.Split(filepath.Clean(folder))
	for _, info := range disk.Match(site, name+"*.dist-info") { // tensorflow_cpu-2.21.0.dist-info
		record, err := os.Open(filepath.Join(info, "RECORD"))
		if err != nil {
			continue
		}
		gone, brought := missing(site, name, record)
		record.Close()
		if !brought {
			continue
		}
		if gone != "" {
			return fmt.Errorf("%s is gone, which %s brought", gone, strings.TrimSuffix(filepath.Base(info), ".dist-info"))
		}
		if text, err := os.ReadFile(filepath.Join(info, "WHEEL")); err == nil {
			if other := builtFor(string(text), e.Version); other != "" {
				return fmt.Errorf("%s is built for Python %s, this is %s", strings.TrimSuffix(filepath.Base(info), ".dist-info"), other, e.Version)
			}
		}
	}
	return nil
}

// native are files that the system loads.
var native = regexp.MustCompile(`\.(so|dylib|pyd|dll)(\.[0-9.]+)?$`)

// missing returns the first native library of a wheel's list of files, relative to the
// folder that it is installed in, that is gone; brought reports whether the list has
// files of a package at all
// (https://packaging.python.org/en/latest/specifications/recording-installed-packages/).
func missing(site, name string, list fs.File) (gone string, brought bool) {
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		file, _, _ := strings.Cut(lines.Text(), ",")
		if !strings.HasPrefix(file, name+"/") {
			continue
		}
		brought = true
		if !native.MatchString(file) {
			continue
		}
		if _, err := os.Stat(filepath.Join(site, filepath.FromSlash(file))); errors.Is(err, fs.ErrNotExist) {
			return file, true
		}
	}
	return "", brought
}

// wheelTag is a line of a wheel's metadata:
//
//	Tag: cp311-cp311-manylinux_2_27_x86_64
var wheelTag = regexp.MustCompile(`(?m)^Tag: (\S+?)-(\S+?)-\S+\s*$`)

// builtFor returns the version of Python that a wheel needs if it is not this one, such
// as "3.9"; empty if it fits, or does not say
// (https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/).
func builtFor(wheel, version string) string {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 || parts[0] != "3" {
		return ""
	}
	minor, err := strconv.Atoi(parts[1])
	if err != nil {
		return ""
	}
	other := ""
	for _, tag := range wheelTag.FindAllStringSubmatch(wheel, -1) {
		for python := range strings.SplitSeq(tag[1], ".") {
			digits, ok := strings.CutPrefix(python, "cp3")
			n, err := strconv.Atoi(digits)
			switch {
			case strings.HasPrefix(python, "cp2"):
				continue
			case !ok || err != nil: // py3: any
				return ""
			case n == minor, n < minor && tag[2] != "cp3"+digits: // abi3, none
				return ""
			}
			other = "3." + digits
		}
	}
	return other
}
