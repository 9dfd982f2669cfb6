package doctor

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	vk "github.com/gpuplay/gpuplay/internal/ffi/vulkan"
	"github.com/gpuplay/gpuplay/internal/probe"
)

// vulkanLimit is longer than programLimit: NVIDIA's driver takes more than that in a
// machine's first process that uses it.
const vulkanLimit = 3 * time.Second

// gatherVulkan asks the loader for its devices in a process of its own, where a driver may
// hang or end it.
func gatherVulkan(ctx context.Context, f *Facts, ask probe.Asker) {
	if ask == nil || f.OS == "darwin" { // which has Metal
		return
	}
	start := time.Now()
	ctx, cancel := limited(ctx, vulkanLimit)
	defer cancel()
	v := &Vulkan{}
	f.Vulkan = v
	said, err := ask(ctx, Probe, v, "VK_LOADER_DEBUG=error")
	v.Drivers = manifests()
	v.Denied, v.Group = denied()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		v.Slow, v.Error = true, "no answer within "+time.Since(start).Round(100*time.Millisecond).String()
	case err != nil:
		v.Error = err.Error()
	}
	v.Words = loaderWords(said)
	for _, text := range append(v.Words, v.Error) {
		if m := notFound.FindStringSubmatch(text); m != nil && !slices.Contains(v.Missing, m[1]) {
			v.Missing = append(v.Missing, m[1])
		}
	}
}

// notFound is how the system's dynamic loader says that a library is not there which it
// looked for by its name.
var notFound = regexp.MustCompile(`(?:^|[\s"])(lib[^\s:/"]+\.so[.\d]*): cannot open shared object file`)

// prefix is what the loader writes in front of its messages: "ERROR:            ", and
// since version 1.3.250 "[Vulkan Loader] ERROR:          ".
var prefix = regexp.MustCompile(`^(\[Vulkan Loader\] )?ERROR( \| \w+)*:\s+`)

// loaderWords returns the errors of the loader's log, each once and without the function
// that reports it.
func loaderWords(log string) []string {
	var list []string
	for line := range strings.Lines(log) {
		text := strings.TrimSpace(line)
		if !prefix.MatchString(text) {
			continue
		}
		text = prefix.ReplaceAllString(text, "")
		if function, rest, ok := strings.Cut(text, ": "); ok && !strings.ContainsAny(function, " ./") {
			text = rest
		}
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// Probe is the name of the probe of Vulkan.
const Probe = "vulkan"

// ProbeVulkan makes an instance of Vulkan and lists its devices. It is what the process
// does that the diagnosis starts.
func ProbeVulkan() Vulkan {
	var v Vulkan
	if err := v.list(); err != nil {
		v.Error = err.Error()
	}
	if !v.gpu("") {
		for _, name := range nvidiaNeeds {
			if _, err := dl.Open(name); err != nil {
				v.Missing = append(v.Missing, name)
			}
		}
	}
	return v
}

func (v *Vulkan) list() error {
	l, err := vk.Open()
	if err != nil {
		return err
	}
	version, r := l.EnumerateInstanceVersion()
	if r < 0 {
		return errors.New("vkEnumerateInstanceVersion: " + r.String())
	}
	instance, r := l.CreateInstance(version)
	if r != vk.SUCCESS {
		return errors.New("vkCreateInstance: " + r.String())
	}
	defer l.DestroyInstance(instance)
	devices, r := l.EnumeratePhysicalDevices(instance)
	if r < 0 {
		return errors.New("vkEnumeratePhysicalDevices: " + r.String())
	}
	for _, d := range devices {
		p := l.GetPhysicalDeviceProperties(d)
		v.Devices = append(v.Devices, VulkanDevice{
			Name: p.Name(), Version: p.ApiVersion.String(), Vendor: strconv.FormatUint(uint64(p.VendorID), 16), CPU: p.DeviceType == vk.PHYSICAL_DEVICE_TYPE_CPU,
		})
	}
	return nil
}
