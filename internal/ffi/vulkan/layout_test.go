package vulkan

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// structures are all of structures.go but Header.
var structures = []any{
	ApplicationInfo{}, InstanceCreateInfo{}, ExtensionProperties{}, PhysicalDeviceLimits{}, PhysicalDeviceProperties{}, PhysicalDeviceProperties2{},
	PhysicalDeviceIDProperties{}, PhysicalDevicePCIBusInfoPropertiesEXT{}, PhysicalDeviceDriverProperties{}, PhysicalDeviceSubgroupProperties{},
	PhysicalDeviceMaintenance3Properties{}, PhysicalDeviceCooperativeMatrix2PropertiesNV{},
	PhysicalDeviceFeatures{}, PhysicalDeviceFeatures2{}, PhysicalDevice16BitStorageFeatures{}, PhysicalDevice8BitStorageFeatures{},
	PhysicalDeviceShaderFloat16Int8Features{}, PhysicalDeviceVulkanMemoryModelFeatures{}, PhysicalDeviceSubgroupSizeControlFeatures{},
	PhysicalDeviceMaintenance4Features{}, PhysicalDeviceCooperativeMatrixFeaturesKHR{}, PhysicalDeviceCooperativeMatrix2FeaturesNV{},
	CooperativeMatrixPropertiesKHR{}, CooperativeMatrixFlexibleDimensionsPropertiesNV{}, QueueFamilyProperties{}, MemoryType{}, MemoryHeap{},
	PhysicalDeviceMemoryProperties{}, DeviceQueueCreateInfo{}, DeviceCreateInfo{}, BufferCreateInfo{}, MemoryRequirements{}, MemoryAllocateInfo{},
	MappedMemoryRange{}, ShaderModuleCreateInfo{}, SpecializationMapEntry{}, SpecializationInfo{}, PipelineShaderStageCreateInfo{},
	ComputePipelineCreateInfo{}, DescriptorSetLayoutBinding{}, DescriptorSetLayoutCreateInfo{},
	PushConstantRange{}, PipelineLayoutCreateInfo{}, DescriptorPoolSize{}, DescriptorPoolCreateInfo{}, DescriptorSetAllocateInfo{}, DescriptorBufferInfo{},
	WriteDescriptorSet{}, CommandPoolCreateInfo{}, CommandBufferAllocateInfo{}, CommandBufferBeginInfo{}, SubmitInfo{}, FenceCreateInfo{},
	QueryPoolCreateInfo{}, MemoryBarrier{}, BufferCopy{},
}

// Every structure and constant is that of vulkan_core.h, as a C compiler says it.
// GPUPLAY_TEST_VULKAN_INCLUDE leads to newer headers than the system's.
func TestHeader(t *testing.T) {
	include := "-I/usr/include"
	if dir := os.Getenv("GPUPLAY_TEST_VULKAN_INCLUDE"); dir != "" {
		include = "-I" + dir
	}
	preprocess := exec.Command("cc", include, "-E", "-")
	preprocess.Stdin = strings.NewReader("#include <vulkan/vulkan_core.h>\n")
	text, err := preprocess.Output()
	if err != nil {
		missing(t, "cc,vulkan", "there is no C compiler, or there are no Vulkan headers (libvulkan-dev)")
	}
	header := string(text)
	var source, want strings.Builder
	source.WriteString("#include <vulkan/vulkan_core.h>\n#include <stddef.h>\n#include <stdio.h>\nint main() {\n")
	check := func(c string, ours any) {
		fmt.Fprintf(&source, "printf(\"%%s %%lld\\n\", %q, (long long)%s);\n", c, c)
		fmt.Fprintf(&want, "%s %v\n", c, ours)
	}
	var unknown []string
	for _, s := range structures {
		compare(t, header, reflect.TypeOf(s), check, &unknown)
	}
	for name, value := range constants(t) {
		if !regexp.MustCompile(`\bVK_`+name+`\b`).MatchString(header) && !strings.HasPrefix(name, "API_VERSION") && name != "WHOLE_SIZE" {
			unknown = append(unknown, "VK_"+name)
			continue
		}
		check("VK_"+name, value)
	}
	source.WriteString("}\n")
	dir := t.TempDir()
	file, program := filepath.Join(dir, "layout.c"), filepath.Join(dir, "layout")
	if err := os.WriteFile(file, []byte(source.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("cc", include, "-o", program, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	got, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.String(), string(got)); d != "" {
		t.Error("ours and the header's:", d)
	}
	if len(unknown) > 0 {
		missing(t, "vulkan", "the headers are older than "+strings.Join(unknown, ", "))
	}
}

// compare checks a structure's size and the offsets of its members.
func compare(t *testing.T, header string, s reflect.Type, check func(c string, ours any), unknown *[]string) {
	name := "Vk" + s.Name()
	body := regexp.MustCompile(`typedef struct ` + name + ` \{([^}]*)\}`).FindStringSubmatch(header)
	if body == nil {
		*unknown = append(*unknown, name)
		return
	}
	var members []string
	for _, m := range regexp.MustCompile(`(\w+)(\[[^;]*\])?;`).FindAllStringSubmatch(body[1], -1) {
		members = append(members, m[1])
	}
	check("sizeof("+name+")", s.Size())
	for _, f := range reflect.VisibleFields(s) {
		if f.Name == "_" || f.Anonymous {
			continue
		}
		i := slices.IndexFunc(members, func(m string) bool {
			bare := strings.TrimLeft(m, "p") // pNext, ppEnabledLayerNames
			return strings.EqualFold(m, f.Name) || strings.EqualFold(bare, f.Name)
		})
		if i < 0 {
			t.Errorf("%s has no member for %s: %q", name, f.Name, members)
			continue
		}
		check("offsetof("+name+", "+members[i]+")", f.Offset)
	}
}

// constants returns the integers that this package declares under names of Vulkan.
func constants(t *testing.T) map[string]string {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "constants.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := new(types.Config).Check("vulkan", files, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, name := range p.Scope().Names() {
		values[name] = p.Scope().Lookup(name).(*types.Const).Val().ExactString()
		if value := constant.ToInt(p.Scope().Lookup(name).(*types.Const).Val()); name == "WHOLE_SIZE" && value.Kind() == constant.Int {
			values[name] = "-1" // as a signed number
		}
	}
	for r, name := range names {
		values[strings.TrimPrefix(name, "VK_")] = fmt.Sprint(int32(r))
	}
	values["PHYSICAL_DEVICE_TYPE_CPU"] = fmt.Sprint(PHYSICAL_DEVICE_TYPE_CPU)
	for name, v := range map[string]Version{"API_VERSION_1_0": API_VERSION_1_0, "API_VERSION_1_1": API_VERSION_1_1, "API_VERSION_1_2": API_VERSION_1_2, "API_VERSION_1_3": API_VERSION_1_3} {
		values[name] = fmt.Sprint(uint32(v))
	}
	return values
}

// missing skips a test, or fails it where GPUPLAY_REQUIRE names one of what it needs.
func missing(t *testing.T, needs, why string) {
	t.Helper()
	for _, name := range strings.Split(needs, ",") {
		if slices.Contains(strings.Split(os.Getenv("GPUPLAY_REQUIRE"), ","), name) {
			t.Fatalf("%s is required here: %s", name, why)
		}
	}
	t.Skip(why)
}
