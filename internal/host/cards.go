package host

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/nvidia"
)

// Cards returns the GPUs that the drivers of this machine list, in the order of their
// PCI addresses, without starting a program; nil where the system has no such list
// (macOS, Windows) or no GPU.
//
// Where NVIDIA's driver lists cards, these are all: whatever else is on the bus, a
// processor's own graphics above all, must not shift their numbers against
// nvidia-smi's, and what an engine does reach is added by its address
// (hardware.Cards). Elsewhere they are AMD's and Intel's GPUs whose driver can compute,
// except for the graphics of an Intel processor.
func Cards() []hardware.Card {
	if runtime.GOOS != "linux" {
		return nil
	}
	return linuxCards("/")
}

// linuxCards is Cards below a root folder.
func linuxCards(root string) []hardware.Card {
	cards := nvidiaCards(root)
	if cards == nil {
		cards = otherCards(root)
	}
	slices.SortFunc(cards, func(a, b hardware.Card) int { return cmp.Compare(a.PCI, b.PCI) })
	for i := range cards {
		cards[i].Number = i
	}
	return cards
}

// read returns a file's text without the space around it, "" if there is none.
func read(path ...string) string {
	text, _ := os.ReadFile(filepath.Join(path...))
	return strings.TrimSpace(string(text))
}

// nvidiaCards returns the cards that NVIDIA's driver lists.
func nvidiaCards(root string) []hardware.Card {
	var cards []hardware.Card
	for _, g := range nvidia.Listed(root) {
		cards = append(cards, hardware.Card{Name: g.Name, UUID: g.UUID, PCI: g.PCI, Vendor: "NVIDIA"})
	}
	return cards
}

// vendors are makers of GPUs by their PCI ids.
var vendors = map[string]string{"0x1002": "AMD", "0x8086": "Intel"}

// computing are the kernel's drivers on which engines stand.
var computing = []string{"amdgpu", "i915", "xe"}

// ownGraphics is where Intel's processors have their graphics on the bus. AMD's have
// no fixed place, and ROCm may reach them. In a virtual machine a card can be anywhere
// else on the root bus.
const ownGraphics = "0000:00:02."

// otherCards lists AMD's and Intel's display controllers (class 03) and accelerators
// (class 12). Their names are in no file of the system, except for AMD's Instinct.
func otherCards(root string) []hardware.Card {
	devices, _ := filepath.Glob(filepath.Join(root, "sys/bus/pci/devices/*"))
	var cards []hardware.Card
	for _, device := range devices {
		vendor, class, address := vendors[read(device, "vendor")], read(device, "class"), filepath.Base(device)
		driver, _ := os.Readlink(filepath.Join(device, "driver"))
		switch {
		case vendor == "", !strings.HasPrefix(class, "0x03") && !strings.HasPrefix(class, "0x12"):
		case !slices.Contains(computing, filepath.Base(driver)), vendor == "Intel" && strings.HasPrefix(address, ownGraphics):
		default:
			cards = append(cards, hardware.Card{Name: read(device, "product_name"), PCI: address, Vendor: vendor})
		}
	}
	return cards
}
