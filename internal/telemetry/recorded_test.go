package telemetry

import (
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// What is read of GPUs whose files others have recorded; each file of testdata/sysfs names its
// source. One round reads a share of the time as if nothing had changed since Open.
func TestRecorded(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Linux has these files, with colons in their names")
	}
	files, err := filepath.Glob("testdata/sysfs/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	const pci = "0000:03:00.0"
	var out strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		recorded := map[string]string{}
		driver := ""
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch {
			case name == "#":
				continue
			case name == "driver":
				driver = value
				value = "->../../../../bus/pci/drivers/" + value
			}
			recorded["sys/bus/pci/devices/"+pci+"/"+name] = value
		}
		root := tree(t, recorded)
		for name, value := range recorded {
			if value, ok := strings.CutPrefix(value, "hex:"); ok {
				table, err := hex.DecodeString(value)
				if err == nil {
					err = os.WriteFile(filepath.Join(root, name), table, 0o600)
				}
				if err != nil {
					t.Fatal(f, err)
				}
			}
		}
		sources := Sysfs(root, []hardware.Card{{PCI: pci}})
		if len(sources) != 1 {
			t.Fatalf("%s: %d sources", f, len(sources))
		}
		fmt.Fprintf(&out, "%s, %s\n", strings.TrimSuffix(filepath.Base(f), ".txt"), driver)
		said := read(t, sources[0])
		for _, name := range slices.Sorted(maps.Keys(said)) {
			fmt.Fprintf(&out, "  %-16s %s\n", strings.TrimSpace(name), said[name])
		}
	}
	golden.Compare(t, "sysfs/read.golden", out.String())
}
