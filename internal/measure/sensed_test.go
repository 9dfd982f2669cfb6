package measure

import (
	"testing"

	"github.com/gpuplay/gpuplay/internal/hardware"
)

func p(v float64) *float64 { return &v }

// A lane is reported as one that did not use its GPU only where utilisation, power, memory
// and clock all stood still for long enough. Each row is what the sensors of a GPU said.
func TestRuleProof(t *testing.T) {
	rest := &State{Utilization: p(0), Power: p(70), Clock: p(345e6), Memory: p(1 << 30)}
	still := func() *State {
		return &State{Utilization: p(0), Power: p(71), Clock: p(345e6), Memory: p(1<<30 + 1<<20)}
	}
	with := func(change func(*State)) *State { s := still(); change(s); return s }
	for name, tt := range map[string]struct {
		s    Sensed
		want Proof
	}{
		"nothing moved":                   {Sensed{Source: "NVML", Alone: true, During: still(), Rest: rest}, Unmoved},
		"nothing moved, a large product":  {Sensed{Source: "NVML", Large: true, During: still(), Rest: rest}, Unmoved},
		"a small product beside another":  {Sensed{Source: "NVML", During: still(), Rest: rest}, Unresolved},
		"utilisation":                     {Sensed{Source: "NVML", During: with(func(s *State) { s.Utilization = p(1) }), Rest: rest}, Proven},
		"power":                           {Sensed{Source: "NVML", Large: true, During: with(func(s *State) { s.Power = p(120) }), Rest: rest}, Proven},
		"memory":                          {Sensed{Source: "NVML", Alone: true, During: with(func(s *State) { s.Memory = p(1.5 * (1 << 30)) }), Rest: rest}, Proven},
		"memory, which another lane has":  {Sensed{Source: "NVML", Large: true, During: with(func(s *State) { s.Memory = p(1.5 * (1 << 30)) }), Rest: rest}, Unmoved},
		"clock":                           {Sensed{Source: "NVML", Alone: true, During: with(func(s *State) { s.Clock = p(1755e6) }), Rest: rest}, Proven},
		"clock, which another lane holds": {Sensed{Source: "NVML", Large: true, During: with(func(s *State) { s.Clock = p(1755e6) }), Rest: rest}, Unmoved},
		"too brief for any reading":       {Sensed{Source: "NVML", Alone: true, Large: true, Rest: rest}, Unresolved},
		"no sensors":                      {Sensed{Alone: true, Large: true}, NoSensor},
		"no utilisation (MIG), still":     {Sensed{Source: "NVML", Alone: true, Large: true, During: with(func(s *State) { s.Utilization = nil }), Rest: rest}, NoSensor},
		"no utilisation (MIG), power":     {Sensed{Source: "NVML", During: &State{Power: p(120)}, Rest: rest}, Proven},
		"never at rest":                   {Sensed{Source: "NVML", Alone: true, During: &State{Utilization: p(0), Power: p(500)}}, Unresolved},
		"utilisation alone":               {Sensed{Source: "NVML", Alone: true, Large: true, During: &State{Utilization: p(0)}, Rest: &State{Utilization: p(0)}}, Unresolved},
		"no power, beside another lane":   {Sensed{Source: "NVML", Large: true, During: with(func(s *State) { s.Power = nil }), Rest: rest}, Unresolved},
		"no power, alone":                 {Sensed{Source: "NVML", Alone: true, During: with(func(s *State) { s.Power = nil }), Rest: rest}, Unmoved},
	} {
		if got := tt.s.Proof(); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// What a reader is told follows from the proof, and from the kind of the lane.
func TestSensedWarns(t *testing.T) {
	unmoved := &Sensed{Source: "NVML", Alone: true, During: &State{Utilization: p(0), Power: p(70)}, Rest: &State{Power: p(70)}}
	for name, tt := range map[string]struct {
		s    *Sensed
		kind hardware.Kind
		want string
	}{
		"nobody asked":     {nil, hardware.GPU, ""},
		"proven":           {&Sensed{Source: "NVML", During: &State{Utilization: p(98)}}, hardware.GPU, ""},
		"unmoved":          {unmoved, hardware.GPU, "not_on_gpu: not shown to have run on the GPU: its utilisation, power, memory and clock did not move"},
		"no sensor":        {&Sensed{}, hardware.GPU, "unproven: not proven by sensors: none says how busy this GPU was"},
		"brief":            {&Sensed{Source: "NVML"}, hardware.GPU, "unproven: not proven by sensors: it computed too briefly for them, or too few of them answered"},
		"a CPU":            {&Sensed{Source: "system"}, hardware.CPU, ""},
		"a CPU beside one": {&Sensed{Source: "system", Others: []InUse{{Card: 1, Utilization: 44.6}}}, hardware.CPU, "gpu_in_use: GPU 1 was 45 % busy meanwhile: another program uses it"},
	} {
		var list Warnings
		tt.s.Warn(tt.kind, &list)
		got := ""
		for _, w := range list {
			got += string(w.Code) + ": " + w.Text
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
