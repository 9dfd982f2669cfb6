package hardware

// A Description is what an engine knows of a GPU beyond its Device, and the copies that it
// has timed there. What a driver does not say is absent.
type Description struct {
	Processors  int       `json:"processors,omitempty"`   // multiprocessors
	Clock       float64   `json:"clock,omitempty"`        // hertz, the highest of the multiprocessors
	MemoryClock float64   `json:"memory_clock,omitempty"` // hertz, the highest
	MemoryBus   int       `json:"memory_bus,omitempty"`   // bits
	Cache       int64     `json:"cache,omitempty"`        // bytes of the last-level cache
	Features    []Feature `json:"features,omitempty"`
	Copies      []Copy    `json:"copies,omitempty"`
}

// A Feature is something that matters for matrix products.
type Feature struct {
	Name  string `json:"name"`
	Found bool   `json:"found"`
}

// A Route is from where to where bytes are copied.
type Route string

const (
	OnDevice     Route = "on the device"
	HostToDevice Route = "host to device"
	DeviceToHost Route = "device to host"
	ToPeer       Route = "to another GPU"
)

// A Copy is a copy that was timed and compared with what was copied.
type Copy struct {
	Route   Route     `json:"route"`
	Memory  string    `json:"memory,omitempty"` // of the host: pinned, pageable, staging
	Peer    string    `json:"peer,omitempty"`   // the ID of the other GPU, of ToPeer
	Direct  bool      `json:"direct,omitempty"` // of ToPeer: one GPU may access the other's memory, so that the host's is not used
	Bytes   int64     `json:"bytes"`            // of one copy
	Seconds []float64 `json:"seconds"`          // of one copy, one value per sample
}
