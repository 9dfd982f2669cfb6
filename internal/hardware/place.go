package hardware

import "fmt"

// Place names the hardware that a device is on, on a machine with that number of cards:
// "NVIDIA H200, GPU 1". A GPU has its number where there are several, and where this
// process counts them otherwise than the machine does.
func (d Device) Place(cards int) string {
	switch {
	case d.Kind != GPU:
	case d.Card != nil && (cards > 1 || d.Renumbered() != ""):
		return fmt.Sprintf("%s, GPU %d", d.Name, *d.Card)
	case d.Card == nil && cards > 1:
		return d.Name + ", GPU not known"
	}
	return d.Name
}

// Renumbered says which GPU a device is whose number in this process is not the
// machine's, as under CUDA_VISIBLE_DEVICES: "cuda:0 is GPU 3". It is empty where both
// agree, or one of them is not known.
func (d Device) Renumbered() string {
	if d.Kind != GPU || d.Card == nil || d.Index == nil || *d.Card == *d.Index {
		return ""
	}
	return fmt.Sprintf("%s:%d is GPU %d", d.API, *d.Index, *d.Card)
}
