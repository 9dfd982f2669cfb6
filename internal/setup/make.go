package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Builder carries plans out.
type Builder struct {
	Machine  Machine
	Exec     Exec                                // Run
	LookPath func(file string) (string, error)   // exec.LookPath
	Free     func(folder string) (uint64, error) // disk.Free
	Env      []string                            // what the installers inherit
	Log      io.Writer                           // gets their words while they work
	Index    string                              // PyPI, or what stands for it
	// Agree is asked before more is downloaded than was said, since a source does not
	// serve it and another has something larger; an error, which says why not, keeps it
	// from being downloaded. nil agrees to nothing.
	Agree func(ctx context.Context, question string) error
	// Try has llama.cpp in a folder compute something and returns what it says of
	// itself and its devices, where a test does not want that to be the real one.
	Try func(ctx context.Context, folder string) ([]string, error)
}

// A Job is a plan with its place and its Python.
type Job struct {
	Plan   *Plan
	Folder string
	Made   bool        // the environment is there already; Make checks it
	Python Interpreter // the base; without a path uv brings its own. Empty when Made
	Free   uint64      // bytes, on the disk of the folder
	remove bool        // what is there
}

// Prepare looks whether the plan can be carried out in the folder and changes
// nothing. asked is the Python to use, if any; clear gives up the environment
// that is there.
func (b *Builder) Prepare(ctx context.Context, p *Plan, folder, asked string, clear bool) (*Job, error) {
	j := &Job{Plan: p, Folder: folder}
	there, err := inspect(folder)
	if err != nil {
		return nil, err
	}
	j.remove = there == unfinished || there == present && clear
	if there == present && !clear {
		again := fault.Remedies{fault.Change("clear", "{} removes it and makes it anew"), fault.Change("dir", "{} names another place")}
		if disk.Exists(filepath.Join(folder, "pyvenv.cfg")) {
			if _, err := b.examine(ctx, python.In(folder)); err != nil {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				return nil, fail(again, "%s: its Python does not work: %v", folder, err)
			}
		}
		if !p.same(folder) {
			return nil, fail(again, "%s was made with other packages or from another source than %s from %s", folder, p.Packages, p.Sources[0].Name)
		}
		j.Made = true
		return j, nil
	}
	if p.Build == nil {
		if j.Python, err = b.interpreter(ctx, p, asked); err != nil {
			return nil, err
		}
	}
	if err := disk.Writable(disk.Nearest(folder)); err != nil {
		return nil, fail(fault.Remedies{fault.Change("dir", "{} names another place")}, "%s cannot be made: %v", folder, err)
	}
	if j.Free, err = b.Free(disk.Nearest(folder)); err != nil {
		return nil, fmt.Errorf("asking for the free space of %s: %w", disk.Nearest(folder), err)
	}
	return j, b.fits(j, p.Sources[0])
}

// fits reports whether there is space for what a source has. pip needs space for
// the wheels beside what it unpacks.
func (b *Builder) fits(j *Job, s Source) error {
	need := s.Disk
	if b.Machine.UV == "" && j.Plan.Build == nil {
		need += s.Download
	}
	if j.Free >= uint64(need) {
		return nil
	}
	return fail(fault.Remedies{{Text: "free some space"}, fault.Change("dir", "{} names a folder on another disk")}, "%s from %s needs about %s in %s, %s is free",
		j.Plan.Framework, s.Name, unit.Bytes(float64(need)), disk.Nearest(j.Folder), unit.Bytes(float64(j.Free)))
}

// Commands returns what Make runs when the source can be reached.
func (b *Builder) Commands(j *Job, s Source) [][]string {
	if j.Plan.Build != nil {
		return buildCommands(j.Plan.Build, j.Folder)
	}
	interpreter, packages := python.In(j.Folder), j.Plan.Packages
	if j.Plan.Pin != nil {
		packages = []string{"--require-hashes", "-r", requirements(j)}
	}
	if uv := b.Machine.UV; uv != "" {
		base := []string{"--python", j.Python.Path}
		if j.Python.Path == "" {
			base = []string{"--managed-python", "--python", fmt.Sprintf("3.%d", j.Python.Minor)}
		}
		return [][]string{
			slices.Concat([]string{uv, "venv", "--allow-existing", "--seed"}, base, []string{j.Folder}),
			slices.Concat([]string{uv, "pip", "install", "--python", interpreter}, s.Args, packages),
		}
	}
	return [][]string{
		{j.Python.Path, "-I", "-m", "venv", j.Folder},
		slices.Concat([]string{interpreter, "-I", "-m", "pip", "install"}, s.Args, packages),
	}
}

// requirements is the file that holds a pinned package with its hash.
func requirements(j *Job) string { return filepath.Join(j.Folder, "requirements.txt") }

// ModelsCommand returns what is run after these, or alone in an environment that is
// complete, for language models; nil when nothing is.
func (b *Builder) ModelsCommand(j *Job) []string {
	interpreter := python.In(j.Folder)
	switch {
	case len(j.Plan.Models) == 0:
		return nil
	case b.Machine.UV != "":
		return slices.Concat([]string{b.Machine.UV, "pip", "install", "--python", interpreter}, j.Plan.Models)
	}
	return slices.Concat([]string{interpreter, "-I", "-m", "pip", "install"}, j.Plan.Models)
}

// Make makes the environment, unless it is there, and returns what its framework
// says of itself, as Check does.
//
// It is made in place, not beside and renamed: the scripts of an environment and
// its interpreter's configuration hold its path, and pip has no other way. So a
// mark, Incomplete, is written before all else and renamed when the framework has
// been imported; an environment that carries it is not used, is removed when
// anything fails, and by the next Make when not even that could be done. Wheels
// stay in the installer's cache, so that trying again is no second download. The
// installer's words are kept beside the folder when it fails, those of a build in
// it when it does not.
func (b *Builder) Make(ctx context.Context, j *Job) (facts []string, err error) {
	if j.Made {
		facts, err = b.Check(ctx, j.Folder, j.Plan.Framework)
		if err != nil && ctx.Err() == nil {
			err = fail(orElse(err, fault.Change("clear", "{} removes the environment and makes it anew")), "%s is there, but %v", j.Folder, err)
		}
		if err != nil || len(j.Plan.Models) == 0 {
			return facts, err
		}
		// Packages are added to it: one that fails leaves what was there.
		out := &transcript{to: b.Log}
		if err := b.run(ctx, b.ModelsCommand(j), b.installing(), out); err != nil {
			return nil, err
		}
		return b.checkModels(ctx, j, facts)
	}
	give, err := claim(j.Folder, j.remove, j.Plan.record())
	if err != nil {
		return nil, err
	}
	defer give()
	name := j.Folder + ".log"
	log, err := os.Create(name)
	if err != nil {
		return nil, errors.Join(err, remove(j.Folder))
	}
	defer func() {
		err = errors.Join(err, log.Close())
		switch {
		case err == nil && j.Plan.Build != nil:
			err = os.Rename(name, filepath.Join(j.Folder, "build.log"))
		case err == nil:
			err = os.Remove(name)
		case ctx.Err() != nil:
			err = errors.Join(ctx.Err(), remove(j.Folder), os.Remove(name))
		default:
			remedies := orElse(err, fault.Remedy{Text: "try again once that is fixed: what was downloaded is kept"}, fault.Remedy{Text: "all that the installer said is in " + name})
			facts, err = nil, fail(remedies, "%v", errors.Join(err, remove(j.Folder)))
		}
	}()
	if err := b.install(ctx, j, &transcript{to: io.MultiWriter(log, b.Log)}); err != nil {
		return nil, err
	}
	if facts, err = b.Check(ctx, j.Folder, j.Plan.Framework); err != nil {
		return nil, err
	}
	if facts, err = b.checkModels(ctx, j, facts); err != nil {
		return nil, err
	}
	return facts, os.Rename(filepath.Join(j.Folder, python.Incomplete), filepath.Join(j.Folder, made))
}

// install fills a claimed folder from the first source that serves it.
func (b *Builder) install(ctx context.Context, j *Job, out *transcript) (err error) {
	temp := filepath.Join(j.Folder, ".tmp") // wheels need more than /tmp may have
	if err := os.Mkdir(temp, 0o755); err != nil {
		return err
	}
	env := b.installing("TMPDIR="+temp, "TMP="+temp, "TEMP="+temp)
	run := func(args []string) error { return b.run(ctx, args, env, out) }
	if j.Plan.Build != nil {
		if err := b.build(ctx, j, run); err != nil {
			return err
		}
		return os.RemoveAll(temp)
	}
	if pin := j.Plan.Pin; pin != nil {
		if err := os.WriteFile(requirements(j), []byte(pin.hashed()), 0o644); err != nil {
			return err
		}
	}
	for i, s := range j.Plan.Sources {
		if i > 0 {
			fmt.Fprintf(out, "gpuplay: %s does not serve it, trying %s: about %s to download, %s on disk\n",
				j.Plan.Sources[i-1].Name, s.Name, unit.Bytes(float64(s.Download)), unit.Bytes(float64(s.Disk)))
			if err := b.fits(j, s); err != nil {
				return err
			}
			if j.Plan.Asks(s) {
				question := fmt.Sprintf("%s failed. %s has %s too, but it is about %s to download, not %s", j.Plan.Sources[0].Name, s.Name, j.Plan.Framework,
					unit.Bytes(float64(s.Download)), unit.Bytes(float64(j.Plan.Sources[0].Download)))
				if refused := b.agree(ctx, question); refused != nil {
					return fault.Errorf(fault.Unavailable, "%v; %v", err, refused).With(orElse(refused)...)
				}
			}
		}
		commands := b.Commands(j, s)
		if i == 0 {
			if err := run(commands[0]); err != nil {
				return err
			}
		}
		if err = run(commands[1]); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err == nil && len(j.Plan.Models) > 0 {
		err = run(b.ModelsCommand(j))
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(temp)
}

// Asks reports whether a source has so much more to download than the first one, which
// was announced, that it is not used without asking. Sizes are estimates.
func (p *Plan) Asks(s Source) bool { return s.Download-p.Sources[0].Download > 100e6 }

func (b *Builder) agree(ctx context.Context, question string) error {
	if b.Agree == nil {
		return errors.New(question)
	}
	return b.Agree(ctx, question)
}

// orElse returns the remedies that an error has, or else others.
func orElse(err error, others ...fault.Remedy) fault.Remedies {
	var e *fault.Error
	if errors.As(err, &e) && len(e.Remedies) > 0 {
		return e.Remedies
	}
	return others
}

// run runs an installer; its error has its last words.
func (b *Builder) run(ctx context.Context, args, env []string, out *transcript) error {
	out.forget()
	err := b.Exec(ctx, Command{Args: args, Env: env, Stdout: out, Stderr: out})
	if err != nil && ctx.Err() == nil {
		return said(fmt.Errorf("%s: %w", filepath.Base(args[0]), err), string(out.end))
	}
	return err
}

// checkModels adds to facts what the packages for language models say of themselves.
func (b *Builder) checkModels(ctx context.Context, j *Job, facts []string) ([]string, error) {
	if len(j.Plan.Models) == 0 {
		return facts, nil
	}
	more, err := b.Check(ctx, j.Folder, "transformers")
	if err != nil {
		return nil, err
	}
	return append(facts, more...), nil
}
