package measure

import (
	"time"

	"github.com/gpuplay/gpuplay/internal/hardware"
)

// Sensors are those of a machine, which are read while lanes are measured:
// telemetry.Sampler.
type Sensors interface {
	// Block returns how long a lane must compute without a break for the sensors to say
	// something about it; 0: there is no sensor that a lane has to wait for.
	Block() time.Duration
	// Sense returns what the sensors of a device said while a lane used it.
	Sense(d hardware.Device, u Use) *Sensed
}

// A Use is when a lane used its device. Times are on the runner's clock.
type Use struct {
	Start, End time.Duration // from preparing the lane to the end of its last product
	Windows    []Window      // in which it computed, in their order
	Counted    []Window      // in which its work was counted, for the energy of it; nil: Windows
	Alone      bool          // no other lane of the run is on the same card
	Large      bool          // its data in memory are so large that a GPU is busy with them for a while
}

// A Window is a time in which a lane did nothing but compute.
type Window struct {
	Start, End time.Duration
	Work       float64 // products or tokens; not used in Use.Windows where there is Use.Counted
}

// A State is what the sensors of a device said at a time, or on average over a time. What
// is nil has no sensor, or the sensor gave no answer.
type State struct {
	Utilization *float64 `json:"utilization,omitempty"`  // percent of the time
	Power       *float64 `json:"power,omitempty"`        // watts
	Clock       *float64 `json:"clock,omitempty"`        // hertz
	MemoryClock *float64 `json:"memory_clock,omitempty"` // hertz
	Temperature *float64 `json:"temperature,omitempty"`  // degrees Celsius
	Memory      *float64 `json:"memory,omitempty"`       // bytes in use
}

// Energy is what a device took while a lane computed.
type Energy struct {
	Joules  float64       `json:"joules"`
	Span    time.Duration `json:"span_ns"`         // in which it was measured
	Work    float64       `json:"work"`            // products or tokens in that time
	Error   float64       `json:"error"`           // of Joules, as a share, from how often the sensor is updated
	Source  string        `json:"source"`          // "NVML", "RAPL"
	Scope   string        `json:"scope,omitempty"` // what is measured: "board", "CPU packages"
	Counted bool          `json:"counted"`         // by a counter of energy; else power was averaged
}

// Each returns the joules for a unit of work.
func (e *Energy) Each() float64 { return e.Joules / e.Work }

// Watts returns the power on average.
func (e *Energy) Watts() float64 { return e.Joules / e.Span.Seconds() }

// Sensed is what the sensors of a lane's device said while the lane was measured.
type Sensed struct {
	Card   *int   `json:"card,omitempty"`   // number of the GPU; absent: the CPU, or a GPU whose number is not known
	Source string `json:"source,omitempty"` // "NVML"; empty: the device has no sensors
	Before *State `json:"before,omitempty"` // when the lane began
	// During is the average while the lane computed, without the time at the beginning over
	// which a sensor still averages what was before; nil where no window is longer than that.
	During   *State   `json:"during,omitempty"`
	After    *State   `json:"after,omitempty"`  // when the lane ended
	Rest     *State   `json:"rest,omitempty"`   // the lowest readings while the lane did not compute
	Energy   *Energy  `json:"energy,omitempty"` // nil: not measured, or not resolved
	Throttle []string `json:"throttle,omitempty"`
	// PowerLimit is how many watts the GPU might take when the run began; nil: not known.
	PowerLimit *float64 `json:"power_limit,omitempty"`
	Alone      bool     `json:"alone,omitempty"` // no other lane of the run was on the same card
	Large      bool     `json:"large,omitempty"` // its data in memory were large enough to keep a GPU busy
	Others     []InUse  `json:"others,omitempty"`
}

// InUse is a GPU that was busy while a lane on the CPU computed.
type InUse struct {
	Card        int     `json:"card"`
	Utilization float64 `json:"utilization"` // percent of the time
}

// A Proof is what the sensors of a GPU say of a lane that claims to compute on it.
type Proof string

const (
	Proven     Proof = "proven"     // the GPU was used
	Unmoved    Proof = "unmoved"    // nothing happened on it
	Unresolved Proof = "unresolved" // the lane computed too briefly for the sensors, or too few of them answered
	NoSensor   Proof = "no_sensor"  // nothing says how busy it was
)

// Proof says whether a GPU lane has computed on its GPU. It says no only where the driver
// reports no utilisation, less than 1 %, over a time that is long enough, and where power,
// memory and clock, of which at least one must be known, did not rise either: in a virtual
// machine a driver may report 0 % whatever runs. Memory and clock count where no other lane
// of the run is on the card, since that would have raised them. Where one is, small products
// prove nothing: a GPU may be done with them in less time than its sensor can see.
func (s *Sensed) Proof() Proof {
	switch d, rest := s.During, s.Rest; {
	case s.Source == "":
		return NoSensor
	case d == nil:
		return Unresolved
	case d.Utilization != nil && *d.Utilization >= 1,
		rest != nil && above(d.Power, rest.Power, 1.1, 2),
		rest != nil && s.Alone && (above(d.Memory, rest.Memory, 1, 16<<20) || above(d.Clock, rest.Clock, 1.1, 0)):
		return Proven
	case d.Utilization == nil:
		return NoSensor
	case !s.Alone && !s.Large, rest == nil, !s.witnessed():
		return Unresolved
	}
	return Unmoved
}

// witnessed reports whether another sensor than that of utilisation would have shown that
// the GPU was used.
func (s *Sensed) witnessed() bool {
	both := func(a, b *float64) bool { return a != nil && b != nil }
	d, rest := s.During, s.Rest
	return both(d.Power, rest.Power) || s.Alone && (both(d.Memory, rest.Memory) || both(d.Clock, rest.Clock))
}

// above reports whether a reading is above one at rest by more than a factor and a step
// together allow for noise.
func above(v, rest *float64, factor, step float64) bool {
	return v != nil && rest != nil && *v > *rest*factor+step
}

// Warn adds what a lane's reader must know: that the GPU was not used, or that nothing
// proves it was; and of a lane on the CPU, that a GPU was busy meanwhile.
func (s *Sensed) Warn(kind hardware.Kind, list *Warnings) {
	if s == nil {
		return
	}
	if kind != hardware.GPU {
		for _, x := range s.Others {
			list.Add(GPUInUse, "GPU %d was %.0f %% busy meanwhile: another program uses it", x.Card, x.Utilization)
		}
		return
	}
	switch s.Proof() {
	case Unmoved:
		list.Add(NotOnGPU, "not shown to have run on the GPU: its utilisation, power, memory and clock did not move")
	case NoSensor:
		list.Add(Unproven, "not proven by sensors: none says how busy this GPU was")
	case Unresolved:
		list.Add(Unproven, "not proven by sensors: it computed too briefly for them, or too few of them answered")
	}
}
