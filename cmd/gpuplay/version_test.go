package main

import (
	"runtime/debug"
	"testing"

	"github.com/gpuplay/gpuplay/internal/record"
)

func TestVersionIsThatOfTheBuild(t *testing.T) {
	const commit = "0123456789abcdef"
	for name, test := range map[string]struct {
		version  string
		settings []debug.BuildSetting
		want     record.Program
	}{
		"go install of a version": {"v1.2.3", nil, record.Program{Version: "1.2.3"}},
		"a tagged checkout":       {"v1.2.3", []debug.BuildSetting{{Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: "false"}}, record.Program{Version: "1.2.3", Commit: commit}},
		"between tags, changed": {"v1.2.4-0.20260102030405-0123456789ab+dirty", []debug.BuildSetting{{Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: "true"}},
			record.Program{Version: "1.2.4-0.20260102030405-0123456789ab", Commit: commit + "+dirty"}},
		"a pre-release":    {"v2.0.0-rc.1", nil, record.Program{Version: "2.0.0-rc.1"}},
		"without stamping": {"(devel)", nil, record.Program{Version: development}},
		"a test":           {"", nil, record.Program{Version: development}},
	} {
		info := &debug.BuildInfo{GoVersion: "go1.26.0", Settings: test.settings}
		info.Main.Version = test.version
		test.want.Go = info.GoVersion
		if got := programOf(info); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
