package main

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// development is the version of a build that no version is known of: one of a checkout,
// built without version control stamping.
const development = "0.0.0-dev"

// program describes this binary by its build information. The go command takes the
// version from the module, with go install PATH@VERSION, or from the tag of the
// checkout (https://go.dev/doc/go1.24#go-command). A commit between two tags has a
// pseudo-version.
func program() record.Program {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return record.Program{Version: development}
	}
	return programOf(info)
}

func programOf(info *debug.BuildInfo) record.Program {
	p := record.Program{Version: development, Go: info.GoVersion}
	if v, ok := strings.CutPrefix(info.Main.Version, "v"); ok { // not "(devel)"
		p.Version, _, _ = strings.Cut(v, "+dirty") // the commit says it
	}
	dirty := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			p.Commit = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if dirty && p.Commit != "" {
		p.Commit += "+dirty"
	}
	return p
}

// versionJSON is what version --json prints. Schemas have versions of their own: they
// change with the form of the files, the program's with what it does.
type versionJSON struct {
	record.Program
	OS      string        `json:"os"`
	Arch    string        `json:"arch"`
	Schemas schemasInJSON `json:"schemas"`
}

type schemasInJSON struct {
	Run        string `json:"run"`
	Events     string `json:"events"`
	Comparison string `json:"comparison"`
	Protocol   int    `json:"worker_protocol"`
}

func newVersion(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Show gpuplay's version, its commit, and its file formats",
		Example: `  gpuplay version
  gpuplay version --json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := versionJSON{program(), runtime.GOOS, runtime.GOARCH, schemasInJSON{record.Schema, event.Schema, encode.VersusSchema, worker.Protocol}}
			if asJSON {
				return encode.Indented(a.stdout, v)
			}
			say(a.stdout, "gpuplay %s\n", v.Version)
			say(a.stdout, "commit   %s\n", cmp.Or(v.Commit, "not known"))
			say(a.stdout, "built    with %s for %s/%s\n", v.Go, v.OS, v.Arch)
			say(a.stdout, "formats  %s, %s, %s, worker protocol %d\n", v.Schemas.Run, v.Schemas.Events, v.Schemas.Comparison, v.Schemas.Protocol)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return c
}
