package host

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/hardware"
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

// nvidiaCards reads what NVIDIA's driver says of each of its cards:
//
//	Model: 		 NVIDIA H100 80GB HBM3
//	GPU UUID: 	 GPU-5d4bf5a4-79ba-2b8f-d7c9-4e6e3a7bd8a5
//	Bus Location: 	 0000:19:00.0
//	GPU Excluded:	 No
//
// A card that was never woken up has question marks in its UUID.
func nvidiaCards(root string) []hardware.Card {
	folders, _ := filepath.Glob(filepath.Join(root, "proc/driver/nvidia/gpus/*"))
	var cards []hardware.Card
	for _, folder := range folders {
		c := hardware.Card{Vendor: "NVIDIA", PCI: strings.ToLower(filepath.Base(folder))}
		excluded := false
		for line := range strings.Lines(read(folder, "information")) {
			name, value, _ := strings.Cut(line, ":")
			switch value = strings.TrimSpace(value); name {
			case "Model":
				c.Name = value
			case "GPU UUID":
				if !strings.Contains(value, "?") {
					c.UUID = value
				}
			case "Bus Location":
				c.PCI = strings.ToLower(value)
			case "GPU Excluded":
				excluded = value == "Yes"
			}
		}
		if !excluded {
			cards = append(cards, c)
		}
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
