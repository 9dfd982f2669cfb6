package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A destination is the file that a flag names for a result. It is found, and as far as
// possible tried, before anything is measured.
type destination struct {
	flag, name string
	path       string   // of a regular file, which need not exist yet: what links lead to
	open       *os.File // anything else, such as a pipe, which stays open until the result is written; nil: path is written
}

// standardOutput is what names stdout where a file is asked for.
const standardOutput = "-"

// newDestination finds what a name stands for; nil is stdout. It returns a usage error
// for a name that nothing can be written to.
func newDestination(flag, name string) (*destination, error) {
	refuse := func(hint string, err error) (*destination, error) {
		return nil, usagef(hint, "--%s %s: %v", flag, name, cause(err))
	}
	path, err := followLinks(name)
	if err != nil {
		return refuse("name another file", err)
	}
	d := &destination{flag: flag, name: name, path: path}
	if fd, ok := descriptor(path); ok {
		if fd == 1 {
			return nil, nil
		}
		if d.open = os.Stderr; fd != 2 {
			d.open = os.NewFile(uintptr(fd), path)
		}
		if _, err := d.open.Stat(); err != nil {
			return refuse("name a file", err)
		}
		return d, nil
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return refuse("name a file in it", errors.New("is a folder"))
	case err == nil && !info.Mode().IsRegular():
		// A pipe that nobody reads would let the open wait, possibly for ever. What
		// reads it stays connected as long as it is open here.
		if d.open, err = os.OpenFile(path, os.O_WRONLY|nonblocking, 0); err != nil {
			if info.Mode()&fs.ModeNamedPipe != 0 {
				return refuse("start what reads it first", errors.New("is a pipe that nobody reads"))
			}
			return refuse("name a file", err)
		}
		return d, nil
	case err == nil:
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // a file that is not to be written must not be replaced either
		if err != nil {
			return refuse("name a file that may be written to", err)
		}
		f.Close()
	case !errors.Is(err, fs.ErrNotExist):
		return refuse("name another file", err)
	}
	probe, err := temporary(path)
	if err != nil {
		return refuse("name a file in a folder that is there and may be written to", err)
	}
	probe.Close()
	os.Remove(probe.Name())
	return d, nil
}

// followLinks returns what a name leads to, which need not exist. Links are not
// followed into the folders that have a process's open files: what is open there is
// written to as it is.
func followLinks(name string) (string, error) {
	for range 40 { // as many as Linux follows
		if _, ok := descriptor(name); ok {
			return name, nil
		}
		link, err := os.Readlink(name)
		if err != nil { // it is no link
			return name, nil
		}
		if !filepath.IsAbs(link) {
			dir, _ := filepath.Split(name) // not cleaned: “..” behind a link is not what it looks like
			link = dir + link
		}
		name = link
	}
	return "", errors.New("too many links")
}

// descriptor returns which of this process's open files a name stands for, if it does.
func descriptor(name string) (fd int, ok bool) {
	switch name {
	case standardOutput, "/dev/stdout":
		return 1, true
	case "/dev/stderr":
		return 2, true
	}
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/"} {
		if number, in := strings.CutPrefix(name, dir); in {
			fd, err := strconv.Atoi(number)
			return fd, err == nil && fd >= 0
		}
	}
	return 0, false
}

// temporary creates a file beside path, with the mode that new files have.
func temporary(path string) (*os.File, error) {
	dir, _ := filepath.Split(path)
	for {
		f, err := os.OpenFile(fmt.Sprintf("%s.gpuplay-%08x", dir, rand.Uint32()), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// write writes a regular file whole or not at all, with the mode and the owner of the
// one that it replaces; anything else as it is.
func (d *destination) write(write func(io.Writer) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("--%s %s: %w", d.flag, d.name, cause(err))
		}
	}()
	if d.open != nil {
		b := bufio.NewWriter(d.open)
		return errors.Join(write(b), b.Flush(), d.close())
	}
	f, err := temporary(d.path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if info, err := os.Stat(d.path); err == nil {
		keepOwner(f, info)
		if err := f.Chmod(info.Mode().Perm()); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	b := bufio.NewWriter(f)
	if err := errors.Join(write(b), b.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), d.path)
}

// stream returns the file for what is written piece by piece, while it happens; close
// closes it.
func (d *destination) stream() (*os.File, error) {
	if d.open != nil {
		return d.open, nil
	}
	f, err := os.Create(d.path)
	if err != nil {
		return nil, fmt.Errorf("--%s %s: %w", d.flag, d.name, cause(err))
	}
	d.open = f
	return f, nil
}

// close closes what is open; stderr stays.
func (d *destination) close() error {
	if d.open == nil || d.open == os.Stderr {
		return nil
	}
	return d.open.Close()
}

// cause strips the path that an os error repeats.
func cause(err error) error {
	var p *os.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}
