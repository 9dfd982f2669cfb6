package host

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/hardware"
)

// nvidiaFiles adds a card as NVIDIA's driver lists it.
func nvidiaFiles(t *testing.T, root, address, name, uuid, excluded string) {
	t.Helper()
	write(t, root, "proc/driver/nvidia/gpus/"+address+"/information", fmt.Sprintf(
		"Model: \t\t %s\nIRQ:   \t\t 0\nGPU UUID: \t %s\nVideo BIOS: \t 96.00.61.00.01\nBus Type: \t PCIe\nDMA Size: \t 52 bits\nBus Location: \t %s\nDevice Minor: \t 1\nGPU Excluded:\t %s\n",
		name, uuid, address, excluded))
}

// pci adds a device to the PCI bus.
func pci(t *testing.T, root, address, vendor, class, driver, product string) {
	t.Helper()
	folder := "sys/bus/pci/devices/" + address + "/"
	write(t, root, folder+"vendor", "0x"+vendor+"\n")
	write(t, root, folder+"class", "0x"+class+"\n")
	if product != "" {
		write(t, root, folder+"product_name", product+"\n")
	}
	if driver != "" {
		if err := os.Symlink("../../../bus/pci/drivers/"+driver, filepath.Join(root, filepath.FromSlash(folder), "driver")); err != nil {
			t.Skip(err)
		}
	}
}

func TestLinuxCards(t *testing.T) {
	for _, tt := range []struct {
		name string
		tree func(t *testing.T, root string)
		want []hardware.Card
	}{
		{"an empty machine", func(t *testing.T, root string) { pci(t, root, "0000:00:1f.6", "8086", "020000", "e1000e", "") }, nil},
		{"two cards of NVIDIA's, in the order of the bus", func(t *testing.T, root string) {
			nvidiaFiles(t, root, "0000:3B:00.0", "NVIDIA H100 80GB HBM3", "GPU-b", "No")
			nvidiaFiles(t, root, "0000:19:00.0", "NVIDIA H100 80GB HBM3", "GPU-a", "No")
		}, []hardware.Card{
			{Number: 0, Name: "NVIDIA H100 80GB HBM3", UUID: "GPU-a", PCI: "0000:19:00.0", Vendor: "NVIDIA"},
			{Number: 1, Name: "NVIDIA H100 80GB HBM3", UUID: "GPU-b", PCI: "0000:3b:00.0", Vendor: "NVIDIA"},
		}},
		{"one that sleeps, and one that is excluded", func(t *testing.T, root string) {
			nvidiaFiles(t, root, "0000:01:00.0", "Quadro GV100", "GPU-????????-????-????-????-????????????", "No")
			nvidiaFiles(t, root, "0000:02:00.0", "Quadro GV100", "GPU-b", "Yes")
		}, []hardware.Card{{Name: "Quadro GV100", PCI: "0000:01:00.0", Vendor: "NVIDIA"}}},
		{"a laptop: the processor's own graphics shifts no number", func(t *testing.T, root string) {
			pci(t, root, "0000:00:02.0", "8086", "030000", "i915", "")
			pci(t, root, "0000:01:00.0", "10de", "030000", "nvidia", "")
			nvidiaFiles(t, root, "0000:01:00.0", "NVIDIA GeForce RTX 4060", "GPU-a", "No")
		}, []hardware.Card{{Name: "NVIDIA GeForce RTX 4060", UUID: "GPU-a", PCI: "0000:01:00.0", Vendor: "NVIDIA"}}},
		{"the same of AMD's, on a bus of its own", func(t *testing.T, root string) {
			nvidiaFiles(t, root, "0000:04:00.0", "NVIDIA GeForce RTX 4060", "GPU-a", "No")
			pci(t, root, "0000:03:00.0", "1002", "030000", "amdgpu", "")
		}, []hardware.Card{{Name: "NVIDIA GeForce RTX 4060", UUID: "GPU-a", PCI: "0000:04:00.0", Vendor: "NVIDIA"}}},
		{"AMD's and Intel's cards beside the processor's graphics", func(t *testing.T, root string) {
			pci(t, root, "0000:00:02.0", "8086", "030000", "i915", "")
			pci(t, root, "0000:03:00.0", "8086", "030000", "xe", "")
			pci(t, root, "0000:83:00.0", "1002", "120000", "amdgpu", "AMD Instinct MI300X OAM")
			pci(t, root, "0000:83:00.1", "1002", "040300", "snd_hda_intel", "")
		}, []hardware.Card{
			{Number: 0, PCI: "0000:03:00.0", Vendor: "Intel"},
			{Number: 1, Name: "AMD Instinct MI300X OAM", PCI: "0000:83:00.0", Vendor: "AMD"},
		}},
		{"cards without a driver that computes", func(t *testing.T, root string) {
			pci(t, root, "0000:03:00.0", "1002", "030000", "radeon", "")
			pci(t, root, "0000:04:00.0", "1002", "030000", "vfio-pci", "")
			pci(t, root, "0000:05:00.0", "1002", "030000", "", "")
			pci(t, root, "0000:06:00.0", "1a03", "030000", "ast", "")
		}, nil},
		{"a card that a virtual machine was given", func(t *testing.T, root string) {
			pci(t, root, "0000:00:02.0", "1234", "030000", "bochs-drm", "")
			pci(t, root, "0000:00:06.0", "1002", "120000", "amdgpu", "")
		}, []hardware.Card{{PCI: "0000:00:06.0", Vendor: "AMD"}}},
		{"another domain", func(t *testing.T, root string) { pci(t, root, "0002:01:00.0", "1002", "038000", "amdgpu", "") },
			[]hardware.Card{{PCI: "0002:01:00.0", Vendor: "AMD"}}},
	} {
		root := t.TempDir()
		tt.tree(t, root)
		if d := cmp.Diff(tt.want, linuxCards(root)); d != "" {
			t.Errorf("%s:\n%s", tt.name, d)
		}
	}
}
