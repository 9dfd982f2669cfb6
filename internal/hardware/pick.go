package hardware

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// Pick returns the device of an engine that a person asks for by a word, never another
// one. The word is
//
//   - "" for the first GPU, or the first device where there is no GPU,
//   - a kind: "cpu", "gpu",
//   - an interface, such as "cuda" or "openblas",
//   - an interface with a device's Index, such as "cuda:1",
//   - a device's ID, or its card's UUID, with or without "GPU-" and the interface.
//
// Where several devices fit, it is the first. One that the engine looked for and did
// not find is an error with the reason and the remedies of Missing.
func Pick(found Inventory, engine, want string) (Device, error) {
	if want == "" {
		if i := slices.IndexFunc(found.Devices, func(d Device) bool { return d.Kind == GPU }); i >= 0 {
			return found.Devices[i], nil
		}
		if len(found.Devices) > 0 {
			return found.Devices[0], nil
		}
	}
	for _, fits := range []func(int, Device) bool{
		func(_ int, d Device) bool { return d.ID == want },
		func(_ int, d Device) bool { return string(d.Kind) == want || d.API == want },
		func(i int, d Device) bool { return numbered(found.Devices, i) == want },
		func(_ int, d Device) bool {
			return d.UUID != "" && strings.EqualFold(bare(d.API, d.UUID), bare(d.API, want))
		},
	} {
		for i, d := range found.Devices {
			if fits(i, d) {
				return d, nil
			}
		}
	}
	api, _, _ := strings.Cut(want, ":")
	for _, m := range found.Missing {
		if want == "" || want == string(m.Kind) || api == m.API {
			return Device{}, fault.Errorf(fault.Unavailable, "%s: %s", strings.TrimSpace(engine+" has no device "+want), m.Reason).With(m.Remedies...)
		}
	}
	names := Names(found.Devices)
	e := fault.Errorf(fault.Unavailable, "%s has no device %q", engine, want)
	switch {
	case len(names) == 0:
		return Device{}, fault.Errorf(fault.Unavailable, "%s has no devices", engine)
	case want == string(CPU) || want == string(GPU): // one is close to the other, and no answer
		return Device{}, e.With(fault.Advice("there are: " + strings.Join(names, ", "))...)
	}
	return Device{}, e.With(fault.DidYouMean(want, names))
}

// Names returns a short name of each device that Pick accepts: its interface where
// that leads to one device, else the interface with the device's number, or the ID of
// what has no numbers.
func Names(devices []Device) []string {
	var names []string
	for i, d := range devices {
		switch {
		case count(devices, d.API) == 1:
			names = append(names, d.API)
		case d.Kind == CPU:
			names = append(names, d.ID)
		default:
			names = append(names, numbered(devices, i))
		}
	}
	return names
}

// numbered returns a device's interface with its number within that: Index, or its
// place in the list where that is not known.
func numbered(devices []Device, i int) string {
	d := devices[i]
	number := count(devices[:i], d.API)
	if d.Index != nil {
		number = *d.Index
	}
	return d.API + ":" + strconv.Itoa(number)
}

func count(devices []Device, api string) int {
	n := 0
	for _, d := range devices {
		if d.API == api {
			n++
		}
	}
	return n
}

// bare returns a UUID without what may stand in front of it.
func bare(api, uuid string) string {
	uuid = cutPrefixFold(uuid, api+":")
	return cutPrefixFold(uuid, "GPU-")
}

func cutPrefixFold(s, prefix string) string {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):]
	}
	return s
}
