package scale

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/python"
)

// usualPort is torchrun's own.
const usualPort = 29500

// Commands returns, as lines of a shell, what to start on each host for the largest world
// that was asked for: the program of a rank in a file, and torchrun. Nothing is started,
// so that nothing is known of the hosts: they are taken to have GPUs.
func Commands(o Options) ([]string, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if len(o.Worlds) == 0 {
		return nil, fault.Errorf(fault.Invalid, "the number of ranks is not known without asking the hosts").With(fault.Set("world", 2*max(1, len(o.Hosts)), "for example"))
	}
	device := "cuda"
	if o.CPU {
		device = "cpu"
	}
	o.fill(device)
	o.Port = cmp.Or(o.Port, usualPort)
	p := slices.Max(o.Worlds)
	o.Worlds = []int{p}
	if _, err := o.divide(); err != nil {
		return nil, err
	}
	x := &session{o: o, device: device, machines: []machine{{}}}
	text, err := json.Marshal(x.settings(p))
	if err != nil {
		return nil, err
	}
	_, _, program, err := python.Torchrun("python3", python.Inherited)
	if err != nil {
		return nil, err
	}
	hosts := max(1, len(o.Hosts))
	lines := []string{
		"# On every host, the program of a rank:",
		"cat >scale.py <<'END_OF_PROGRAM'", strings.TrimRight(program, "\n"), "END_OF_PROGRAM",
	}
	for i := range hosts {
		name := "this machine"
		if len(o.Hosts) > 0 {
			name = o.Hosts[i]
		}
		lines = append(lines, "# On "+name+":", fmt.Sprintf("GPUPLAY_SCALE=%s torchrun %s --max-restarts 0 scale.py", quote(string(text)), strings.Join(x.arguments(i, p/hosts, hosts), " ")))
	}
	return lines, nil
}
