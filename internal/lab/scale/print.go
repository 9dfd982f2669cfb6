package scale

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/scaling"
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
		return nil, fault.Errorf(fault.Invalid, "how many ranks is not known without asking the hosts").With(fault.Set("world", 2*max(1, len(o.Hosts)), "for example"))
	}
	if o.Shape == (scaling.Shape{}) {
		m, _ := scaling.Lookup("small")
		o.Shape = m.Shape
		o.Shape.Tied = false
	}
	o.Batch, o.Port = cmp.Or(o.Batch, usualBatch), cmp.Or(o.Port, usualPort)
	x := &session{o: o, device: "cuda", machines: []machine{{}}}
	if o.CPU {
		x.device = "cpu"
	}
	p := 0
	for _, n := range o.Worlds {
		p = max(p, n)
	}
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
