package sweep

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
)

// A File keeps a sweep: each size is appended once it has been measured, as a line
// with a record.Run of that size alone, so that a crash costs the size in hand only.
// The lines that one process has written have the id of its run; a sweep that was
// continued has several.
type File struct {
	Name string
	Runs []*record.Run // one for each size that it held when it was opened
	file *os.File
}

// Create starts a new file. One that is there and not empty is an error that is
// fs.ErrExist: it may hold what took hours.
func Create(name string) (*File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		f.Close()
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	return &File{Name: name, file: f}, nil
}

// Resume opens a file to continue it, one of an earlier version of gpuplay too, and
// one without any size if it is empty. A last line that was cut off is dropped; any
// other that cannot be read is an error.
func Resume(name string) (*File, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // reading a pipe could wait for ever
		return nil, errors.New("is no regular file")
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	runs, size, rest, err := read(f)
	if err == nil && len(runs) == 0 && rest > 0 { // it may be anything
		err = errors.New("it holds no size that was measured")
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &File{Name: name, Runs: runs, file: f}, nil
}

// read returns the runs in a file, the bytes that they take, and those of a line that
// was cut off.
func read(r io.Reader) (runs []*record.Run, size, rest int64, err error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, 0, 0, err
	}
	for number := 1; len(data) > 0; number++ {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			break
		}
		one, err := record.Parse(data[:end])
		switch {
		case err != nil:
			return nil, 0, 0, fmt.Errorf("line %d: %w", number, err)
		case len(one.Results) == 0 || slices.ContainsFunc(one.Results, func(x *bench.Result) bool { return shapeOf(x) != shapeOf(one.Results[0]) }):
			return nil, 0, 0, fmt.Errorf("line %d: it is not a size of a sweep", number)
		}
		runs = append(runs, one)
		size += int64(end + 1)
		data = data[end+1:]
	}
	return runs, size, int64(len(data)), nil
}

// Append writes the run of one size to the disk.
func (f *File) Append(r *record.Run) error {
	var line bytes.Buffer
	if err := record.Write(&line, r); err != nil {
		return err
	}
	if _, err := f.file.Write(line.Bytes()); err != nil {
		return err
	}
	if info, err := f.file.Stat(); err == nil && !info.Mode().IsRegular() { // a pipe
		return nil
	}
	return f.file.Sync()
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

func shapeOf(r *bench.Result) Shape { return Shape{r.GEMM.M, r.GEMM.N, r.GEMM.K} }

// mismatch says why a sweep under now's conditions, with those lanes, may not continue
// the file; nil if it may. Figures from two machines, programs or tasks do not belong
// into one table.
func (f *File) mismatch(now *record.Run, lanes []bench.Lane, g bench.GEMM, seed uint64) error {
	if len(f.Runs) == 0 {
		return nil
	}
	old := f.Runs[0]
	differ := func(what string, was, is any) error {
		return fault.Errorf(fault.Invalid, "%s was measured with another %s: %v, now %v", f.Name, what, was, is).With(
			fault.Change("output", "the same machine, program and options continue it; {} begins another"))
	}
	a, b := old.Machine, now.Machine
	switch {
	case a.CPU != b.CPU || a.OS != b.OS || a.Arch != b.Arch:
		return differ("machine", fmt.Sprintf("%s (%s/%s)", a.CPU, a.OS, a.Arch), fmt.Sprintf("%s (%s/%s)", b.CPU, b.OS, b.Arch))
	case a.CPUs != b.CPUs:
		return differ("number of CPUs", a.CPUs, b.CPUs)
	case a.Cores != b.Cores && a.Cores > 0: // older files hold CPUs alone
		return differ("number of cores", a.Cores, b.Cores)
	case !slices.Equal(a.Features, b.Features):
		return differ("set of instructions", strings.Join(a.Features, " "), strings.Join(b.Features, " "))
	case old.Program.Version != now.Program.Version:
		return differ("version of gpuplay", old.Program.Version, now.Program.Version)
	case old.Program.Commit != now.Program.Commit:
		return differ("build of gpuplay", orUnknown(old.Program.Commit), orUnknown(now.Program.Commit))
	case old.Threads != now.Threads:
		return differ("number of threads", threads(old.Threads), threads(now.Threads))
	case old.ID != "" && old.Repeat != now.Repeat: // files without ids do not say
		return differ("number of timed runs", runs(old.Repeat), runs(now.Repeat))
	}
	first := old.Results[0]
	was := first.GEMM
	switch {
	case was.In != g.In || was.Acc != g.Acc || was.Out != g.Out:
		return differ("dtype", types(was), types(g))
	case was.Data != g.Data:
		return differ("kind of inputs", was.Data, g.Data)
	case first.Seed != seed:
		return differ("seed", first.Seed, seed)
	}
	name := func(engine string, d hardware.Device) string {
		return strings.TrimSuffix(engine+":"+d.ID+" "+d.Version, " ")
	}
	var had, have []string
	for _, x := range old.Results {
		had = append(had, name(x.Engine, x.Device))
	}
	for _, l := range lanes {
		have = append(have, name(l.Engine.Name(), l.Device))
	}
	if !slices.Equal(had, have) {
		return differ("list of engines", strings.Join(had, ", "), strings.Join(have, ", "))
	}
	for i, l := range lanes { // the same library may have computed with other instructions or threads
		if was, is := old.Results[i].Device.Detail, l.Device.Detail; was != is {
			return differ("kind of "+l.Engine.Name()+":"+l.Device.ID, orUnknown(was), orUnknown(is))
		}
	}
	return nil
}

func threads(n int) string {
	if n == 0 {
		return "as the engines choose"
	}
	return fmt.Sprint(n)
}

func runs(n int) string {
	if n == 0 {
		return "until the result is precise"
	}
	return fmt.Sprint(n)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func types(g bench.GEMM) string {
	if g.In == g.Acc && g.In == g.Out {
		return string(g.In)
	}
	return fmt.Sprintf("%s, sums in %s, results in %s", g.In, g.Acc, g.Out)
}
