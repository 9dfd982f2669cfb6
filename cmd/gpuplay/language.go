package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lora"
	"github.com/gpuplay/gpuplay/internal/model"
)

// languageFlags say which language model a framework loads, and where.
type languageFlags struct {
	lab.Language
	dirs []string // with models in them
	yes  bool     // a model may be downloaded
}

// add defines the flags of the framework.
func (f *languageFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.Framework, "framework", "", "mlx or torch (default: mlx on Apple silicon, else torch, whichever is installed)")
	fl.StringVar(&f.Device, "device", "", "cpu, gpu, or a name such as mps, cuda or cuda:1 (default: the GPU if there is one)")
	fl.IntVar(&f.Threads, "threads", 0, "CPU threads (default: the framework's own choice)")
	fl.StringVar(&f.Python, "python", "", "Python interpreter or environment with the framework in it")
	fl.DurationVar(&f.Timeout, "timeout", 10*time.Minute, "how long loading the model may take")
	fl.StringArrayVar(&f.dirs, "model-dir", nil, "look for models in this folder too; can be repeated")
	fl.BoolVarP(&f.yes, "yes", "y", false, "download a missing model without asking")
}

// oneModel wants one model at most: without a name the first that is found.
func oneModel(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("a prompt with spaces needs quotes: --prompt \"Say hello\"", "%s takes one model, not %d", c.CommandPath(), len(args))
	}
	return nil
}

// check looks for mistakes that need no framework.
func (f *languageFlags) check() error {
	if f.Framework != "" {
		return oneOf("framework", f.Framework, lab.LanguageFrameworks())
	}
	return nil
}

// find returns the model that a person named, or else the first one here, if MLX or
// PyTorch can load it and memory holds it.
func (a *app) find(ctx context.Context, f languageFlags, args []string) (model.Model, error) {
	word, wanted := "", f.Framework
	switch {
	case len(args) > 0:
		word, wanted = args[0], ""
	case wanted == "":
		wanted = lab.LanguageFrameworks()[0]
	}
	m, err := a.resolveModel(ctx, word, f.dirs, wanted, f.yes)
	if err == nil {
		m.Path, err = filepath.Abs(m.Path)
	}
	return m, err
}

// trainedOn returns the model that the adapter in a folder was trained on, as an argument,
// if gpuplay trained it and the model is still there; else nothing.
func trainedOn(adapter string) []string {
	state, err := lora.Resume(adapter)
	if err != nil || !isFolder(state.Model) {
		return nil
	}
	return []string{state.Model}
}

// run measures like app.run, and says so where the user ended it: what a model has
// generated or learned does not show that.
func (f *languageFlags) run(ctx context.Context, a *app, out outputFlags, measure measurement) error {
	err := a.run(ctx, out, measure)
	if reported := (*reportedError)(nil); errors.As(err, &reported) && reported.code == exitInterrupted {
		say(a.stderr, "gpuplay: interrupted\n")
	}
	return err
}

// absolute returns a path from the working folder on; "" stays.
func (a *app) absolute(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(a.env.engines.Folder, path)
}
