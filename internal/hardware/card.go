package hardware

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Card is one physical GPU, which several engines reach.
type Card struct {
	// Number counts this machine's GPUs from 0 in the order of their PCI addresses, as
	// nvidia-smi does. It names a card for people; what identifies it is UUID or PCI.
	Number int    `json:"number"`
	Name   string `json:"name"`           // as its maker writes it
	UUID   string `json:"uuid,omitempty"` // as its driver writes it; empty when not known
	PCI    string `json:"pci,omitempty"`  // domain:bus:device.function; empty when not known
	Vendor string `json:"vendor,omitempty"`
}

// Cards joins what the system lists with what engines found: the GPUs of this machine
// by number. listed are those that the drivers name, whether an engine reaches them or
// not.
func Cards(listed []Card, found ...Device) []Card {
	var cards []Card
	for _, c := range listed {
		c.PCI = address(c.PCI)
		cards = join(cards, c)
	}
	for _, d := range found {
		if d.Kind == GPU && (d.UUID != "" || d.PCI != "") {
			cards = join(cards, Card{Name: d.Name, UUID: d.UUID, PCI: address(d.PCI)})
		}
	}
	if len(cards) == 0 { // a GPU that is alone needs no address: Apple's, say
		names := map[string]bool{}
		for _, d := range found {
			if d.Kind == GPU && (d.Index == nil || *d.Index == 0) {
				names[d.Name] = true
			}
		}
		if len(names) == 1 {
			for name := range names {
				cards = append(cards, Card{Name: name})
			}
		}
	}
	slices.SortStableFunc(cards, func(a, b Card) int { // those without an address come last
		switch {
		case (a.PCI == "") == (b.PCI == ""):
			return cmp.Compare(a.PCI, b.PCI)
		case a.PCI == "":
			return 1
		}
		return -1
	})
	for i := range cards {
		cards[i].Number = i
	}
	return cards
}

// join adds a card to those that are known. It may be one of them, or show that two of
// them, one known by its UUID and one by its address, are the same.
func join(cards []Card, c Card) []Card {
	at := slices.IndexFunc(cards, func(have Card) bool { return same(have, c) })
	if at < 0 {
		return append(cards, c)
	}
	known := merge(cards[at], c)
	cards[at] = known
	for i := len(cards) - 1; i > at; i-- {
		if same(cards[i], known) {
			known = merge(known, cards[i])
			cards = slices.Delete(cards, i, i+1)
		}
	}
	cards[at] = known
	return cards
}

func merge(a, b Card) Card {
	return Card{Name: cmp.Or(a.Name, b.Name), UUID: cmp.Or(a.UUID, b.UUID), PCI: cmp.Or(a.PCI, b.PCI), Vendor: cmp.Or(a.Vendor, b.Vendor)}
}

func same(a, b Card) bool {
	switch {
	case a.UUID != "" && b.UUID != "":
		return strings.EqualFold(a.UUID, b.UUID)
	case a.PCI != "" && b.PCI != "":
		return a.PCI == b.PCI
	}
	return false
}

// address writes a PCI address as Linux does: 0000:3b:00.0. NVIDIA's tools write the
// domain with 8 digits, others leave out the domain, the function or zeros. What is no
// such address stays as it is.
func address(pci string) string {
	text, function, _ := strings.Cut(strings.ToLower(pci), ".")
	parts := strings.Split(text, ":")
	if len(parts) == 2 {
		parts = append([]string{"0"}, parts...)
	}
	if len(parts) != 3 {
		return pci
	}
	var numbers [4]uint64
	for i, part := range append(parts, cmp.Or(function, "0")) {
		n, err := strconv.ParseUint(part, 16, 32)
		if err != nil {
			return pci
		}
		numbers[i] = n
	}
	return fmt.Sprintf("%04x:%02x:%02x.%x", numbers[0], numbers[1], numbers[2], numbers[3])
}

// CardOf returns the number of the card that a device is on; nil when that is not
// known, and for what is no GPU.
func CardOf(d Device, cards []Card) *int {
	if d.Kind != GPU {
		return nil
	}
	if d.UUID != "" || d.PCI != "" {
		for _, c := range cards {
			if same(c, Card{UUID: d.UUID, PCI: address(d.PCI)}) {
				return &c.Number
			}
		}
		return nil
	}
	if len(cards) == 1 && cards[0].UUID == "" && cards[0].PCI == "" && (d.Index == nil || *d.Index == 0) {
		return &cards[0].Number
	}
	return nil
}

// Equal reports whether two GPUs are as good as each other for a library: of the same
// model, with the same memory as far as that is known. Drivers reserve a little of it,
// not always the same.
func Equal(a, b Device) bool {
	if a.Kind != GPU || b.Kind != GPU || a.API != b.API || a.Name != b.Name {
		return false
	}
	if a.Memory == nil || b.Memory == nil {
		return true
	}
	small, large := min(*a.Memory, *b.Memory), max(*a.Memory, *b.Memory)
	return large-small <= large/20
}
