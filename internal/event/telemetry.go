package event

// A Quantity is what a sensor measures, with its unit. What counts up since a driver was
// loaded or a machine was started says nothing by itself, only its growth does.
type Quantity string

const (
	Utilization    Quantity = "utilization"     // percent of the time in which something ran
	Power          Quantity = "power"           // watts
	Energy         Quantity = "energy"          // joules, counted up
	Memory         Quantity = "memory"          // bytes in use
	Swap           Quantity = "swap"            // bytes in use
	Clock          Quantity = "clock"           // hertz, of a GPU's shader cores or of the CPUs on average
	MemoryClock    Quantity = "memory_clock"    // hertz
	Temperature    Quantity = "temperature"     // degrees Celsius
	Throttle       Quantity = "throttle"        // a set of Throttling, as a sum of bits
	Processes      Quantity = "processes"       // number of processes that compute on a GPU
	PCIeSent       Quantity = "pcie_sent"       // bytes, counted up
	PCIeReceived   Quantity = "pcie_received"   // bytes, counted up
	NVLinkSent     Quantity = "nvlink_sent"     // bytes, counted up
	NVLinkReceived Quantity = "nvlink_received" // bytes, counted up
)

// Counts reports whether a quantity counts up, so that only its growth says something.
func (q Quantity) Counts() bool {
	switch q {
	case Energy, PCIeSent, PCIeReceived, NVLinkSent, NVLinkReceived:
		return true
	}
	return false
}

// Throttling is a reason for which a driver holds a clock down: bits of Throttle.
type Throttling uint

const (
	PowerCap   Throttling = 1 << iota // the power limit is reached
	Heat                              // it is too hot
	PowerBrake                        // the supply asks for less power
	Slowdown                          // the hardware slows down, without saying why
	Setting                           // a clock was set by a user, or by a group of GPUs that run in step
)

// Words name the reasons, in the order of the bits.
func (t Throttling) Words() []string {
	var words []string
	for i, w := range []string{"power limit", "heat", "power brake", "hardware slowdown", "clock setting"} {
		if t&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return words
}

// A Sensor is one quantity of one thing: of a GPU, of a logical CPU, or, without a
// number, of the machine.
type Sensor struct {
	Quantity Quantity `json:"quantity"`
	Card     *int     `json:"card,omitempty"`  // number of the GPU on this machine
	CPU      *int     `json:"cpu,omitempty"`   // number of the logical CPU
	Scope    string   `json:"scope,omitempty"` // what exactly is measured, where that is not plain: "board", "package-0"
}

// A Reading is what a sensor said.
type Reading struct {
	Sensor
	Value float64 `json:"value"`
}

// Telemetry is what the sensors of a source say at one time. A sensor that gives no
// answer has no reading, nor has a counter that is read less often. Like progress it may be dropped for a slow subscriber.
type Telemetry struct {
	Source   string    `json:"source"` // "NVML", "amdgpu", "RAPL", "system"
	Readings []Reading `json:"readings"`
}

// Sensors are those that a source has found. They are told of again when the numbers of
// cards change, because another source has found one.
type Sensors struct {
	Source  string        `json:"source"`
	Sensors []FoundSensor `json:"sensors"`
}

// A FoundSensor is a sensor with what is known of it from the start.
type FoundSensor struct {
	Sensor
	Max  *float64 `json:"max,omitempty"`  // the most that it can read: the memory there is, the power limit, the highest clock
	Name string   `json:"name,omitempty"` // of the GPU or the CPU, as its maker writes it
}

// ProcessList are the processes that use the GPUs of a source at one time. They are listed
// for those who watch, once a second.
type ProcessList struct {
	Source    string    `json:"source"`
	Processes []Process `json:"processes"`
}

// A Process uses a GPU. What cannot be known, because it is another user's or outside the
// container, is absent.
type Process struct {
	Card     *int     `json:"card,omitempty"`     // number of the GPU on this machine
	PID      int      `json:"pid"`                // as the driver numbers processes
	Name     string   `json:"name,omitempty"`     // its command line, or its name
	User     string   `json:"user,omitempty"`     //
	Busy     *float64 `json:"busy,omitempty"`     // percent of the time in which it used the GPU
	Memory   *float64 `json:"memory,omitempty"`   // bytes of the GPU's memory
	CPU      *float64 `json:"cpu,omitempty"`      // percent of one CPU
	Resident *float64 `json:"resident,omitempty"` // bytes of the machine's memory
}

// EventType says that sensors are told of as such.
func (Sensors) EventType() Type { return TypeSensors }

// EventType says that processes are told of as such.
func (ProcessList) EventType() Type { return TypeProcesses }

// EventType says that readings are told of as telemetry.
func (Telemetry) EventType() Type { return TypeTelemetry }
