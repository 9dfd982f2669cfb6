package vulkan

import (
	"cmp"
	"embed"
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	vk "github.com/gpuplay/gpuplay/internal/ffi/vulkan"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// shaders are compiled by shaders/compile.
//
//go:embed shaders/*.spv
var shaders embed.FS

// A kernel is a shader with the sizes of its tiles.
type kernel struct {
	shader      string
	invocations uint32
	bm, bn, bk  uint32   // a workgroup's block of C, and the depth of a slice
	sizes       []uint32 // specialization constants from 6 on, but for those that the product decides
	name        string
}

// key is a shader with all of its specialization constants.
type key struct {
	file      string
	constants [13]uint32
}

// suffixes are the shaders' names of types.
var suffixes = map[matrix.DType]string{matrix.Float64: "f64", matrix.Float32: "f32", matrix.Float16: "f16", matrix.BFloat16: "bf16", matrix.Int8: "i8"}

// scalar returns a kernel for any device in which an invocation computes tm×tn elements.
func scalar(bm, bn, bk, tm, tn, buffers uint32) kernel {
	return kernel{"scalar", bm / tm * (bn / tn), bm, bn, bk, []uint32{tm, tn, buffers}, fmt.Sprintf("scalar %d×%d×%d/%d×%d×%d", bm, bn, bk, tm, tn, buffers)}
}

// scalars are small, middle and large ones.
var scalars = []kernel{
	scalar(32, 32, 8, 4, 4, 1),
	scalar(64, 64, 16, 8, 8, 1),
	scalar(128, 128, 16, 8, 8, 1),
	scalar(128, 128, 16, 8, 16, 1),
	scalar(256, 128, 16, 16, 8, 1),
}

// kernels returns those that can compute a product on the device, the most promising
// first. There is at least one.
func (d *device) kernels(g bench.GEMM) []kernel {
	if d.about.Kind == hardware.SoftwareGPU { // whose compilers take seconds for larger tiles
		return scalars[:1]
	}
	var list []kernel
	for _, k := range d.matrixKernels(g.In, subgroupTiles, workgroupTiles) {
		if k.sensible(g) && (k.shader != "coop" || k.whole(g)) {
			list = append(list, k)
		}
	}
	for i, k := range slices.Backward(scalars) {
		if i == 0 || k.sensible(g) && d.fits(k, g.In) {
			list = append(list, k)
		}
	}
	return list
}

// fits reports whether the device has the invocations and the shared memory for a kernel.
func (d *device) fits(k kernel, t matrix.DType) bool {
	return k.shared(t) <= d.limits.MaxComputeSharedMemorySize && k.invocations <= min(d.limits.MaxComputeWorkGroupInvocations, d.limits.MaxComputeWorkGroupSize[0])
}

// sensible reports whether a kernel's blocks are not much larger than C.
func (k kernel) sensible(g bench.GEMM) bool {
	const small = 32 // the smallest kernel's
	return int(k.bm) <= (g.M+small-1)/small*small && int(k.bn) <= (g.N+small-1)/small*small
}

// whole reports whether a product is made of whole blocks and slices.
func (k kernel) whole(g bench.GEMM) bool {
	return g.M%int(k.bm) == 0 && g.N%int(k.bn) == 0 && g.K%int(k.bk) == 0
}

// shared returns the bytes of shared memory that a kernel takes.
func (k kernel) shared(t matrix.DType) uint32 {
	switch k.shader {
	case "scalar":
		size := uint32(max(4, t.Size())) // of an element there
		return k.sizes[2] * k.bk * (k.bm + k.bn + 56) * size
	case "ladder": // two tiles
		return 2 * 16 * 16 * 4
	case "coop2": // the driver takes what it needs
		return 0
	}
	size := uint32(t.Size())
	side := func(rows uint32) uint32 { return max(rows*(k.bk*size+16), k.bk*(rows*size+16)) } // in either layout
	return k.sizes[2] * (side(k.bm) + side(k.bn))
}

// components returns the types of operands and sums of matrix units for a type.
func components(t matrix.DType) (in, acc uint32, ok bool) {
	switch t {
	case matrix.Float16:
		return vk.COMPONENT_TYPE_FLOAT16_KHR, vk.COMPONENT_TYPE_FLOAT32_KHR, true
	case matrix.Int8:
		return vk.COMPONENT_TYPE_SINT8_KHR, vk.COMPONENT_TYPE_SINT32_KHR, true
	}
	return 0, 0, false
}

// subgroupTiles are the sizes of workgroups' blocks and slices, then of subgroups' parts of
// blocks, the number of buffers, and whether slices are read ahead.
var subgroupTiles = [][7]uint32{{128, 128, 32, 64, 64, 1, 1}, {128, 256, 32, 64, 64, 1, 1}, {128, 128, 32, 64, 64, 1, 0}, {128, 128, 64, 64, 64, 1, 1}, {64, 64, 32, 32, 32, 2, 1}}

// matrices returns a kernel of subgroupTiles for matrix units of a shape.
func matrices(b [7]uint32, s vk.CooperativeMatrixPropertiesKHR, subgroup uint32) kernel {
	return kernel{"coop", b[0] / b[3] * (b[1] / b[4]) * subgroup, b[0], b[1], b[2], []uint32{b[3], b[4], b[5], s.MSize, s.NSize, s.KSize, b[6]},
		fmt.Sprintf("matrix %d×%d×%d/%d×%d×%d×%d of %d×%d×%d", b[0], b[1], b[2], b[3], b[4], b[5], b[6], s.MSize, s.NSize, s.KSize)}
}

// workgroupTiles are the sizes of blocks and slices, and the invocations of a workgroup.
var workgroupTiles = [][4]uint32{{128, 128, 32, 128}, {256, 128, 64, 256}, {128, 256, 64, 256}, {64, 64, 64, 128}}

// matrixKernels are those for matrix units: by VK_KHR_cooperative_matrix, in which matrices
// belong to subgroups, and by VK_NV_cooperative_matrix2, in which they belong to workgroups.
func (d *device) matrixKernels(t matrix.DType, subgroups [][7]uint32, workgroups [][4]uint32) []kernel {
	in, acc, ok := components(t)
	if !ok {
		return nil
	}
	var list []kernel
	shapes := slices.DeleteFunc(slices.Clone(d.shapes), func(s vk.CooperativeMatrixPropertiesKHR) bool {
		return s.AType != in || s.BType != in || s.CType != acc || s.ResultType != acc || s.Scope != vk.SCOPE_SUBGROUP_KHR || s.SaturatingAccumulation != 0
	})
	slices.SortStableFunc(shapes, func(a, b vk.CooperativeMatrixPropertiesKHR) int {
		return cmp.Compare(b.MSize*b.NSize*b.KSize, a.MSize*a.NSize*a.KSize)
	})
	for _, s := range shapes[:min(1, len(shapes))] { // the largest: smaller ones are no faster, and each takes time to compile
		for _, b := range subgroups {
			k := matrices(b, s, d.subgroup)
			loads := 8 * k.invocations // elements that a workgroup reads at once
			if b[3]%s.MSize == 0 && b[4]%s.NSize == 0 && k.bk%s.KSize == 0 && k.bm*k.bk%loads == 0 && k.bn*k.bk%loads == 0 &&
				k.invocations <= d.limits.MaxComputeWorkGroupInvocations && k.shared(t) <= d.limits.MaxComputeSharedMemorySize {
				list = append(list, k)
			}
		}
	}
	for _, b := range workgroups {
		bm, bn, bk, invocations := b[0], b[1], b[2], b[3]
		if invocations > d.most.CooperativeMatrixWorkgroupScopeMaxWorkgroupSize || max(bm, bn, bk) > d.most.CooperativeMatrixFlexibleDimensionsMaxDimension {
			continue
		}
		if slices.ContainsFunc(d.flexible, func(f vk.CooperativeMatrixFlexibleDimensionsPropertiesNV) bool {
			return f.AType == in && f.BType == in && f.CType == acc && f.ResultType == acc && f.Scope == vk.SCOPE_WORKGROUP_KHR && f.SaturatingAccumulation == 0 &&
				f.WorkgroupInvocations == invocations && bm%f.MGranularity == 0 && bn%f.NGranularity == 0 && bk%f.KGranularity == 0
		}) {
			list = append(list, kernel{"coop2", invocations, bm, bn, bk, nil, fmt.Sprintf("workgroup matrix %d×%d×%d of %d", bm, bn, bk, invocations)})
		}
	}
	return list
}

// key returns the kernel's specialization constants for a product.
func (k kernel) key(g bench.GEMM) key {
	flag := func(b bool) uint32 {
		if b {
			return 1
		}
		return 0
	}
	out := key{file: "shaders/" + k.shader + "_" + suffixes[g.In] + ".spv"}
	constants := append([]uint32(nil), k.invocations, k.bm, k.bn, k.bk, flag(g.TransA), flag(g.TransB))
	constants = append(constants, k.sizes...)
	switch k.shader {
	case "scalar":
		rowA, rowB := g.K, g.N // elements that lie side by side
		if g.TransA {
			rowA = g.M
		}
		if g.TransB {
			rowB = g.K
		}
		edge := uint32(2)
		if k.whole(g) {
			edge = 0
		} else if rowA%4 == 0 && rowB%4 == 0 && g.N%4 == 0 {
			edge = 1
		}
		constants = append(constants, edge)
	case "coop2":
		constants = append(constants, flag(k.whole(g)))
	}
	copy(out.constants[:], constants)
	return out
}

// blocks returns how many workgroups compute a product.
func (k kernel) blocks(g bench.GEMM) int {
	return (g.M + int(k.bm) - 1) / int(k.bm) * ((g.N + int(k.bn) - 1) / int(k.bn))
}

// pipeline compiles a kernel for a product, unless it is compiled.
func (d *device) pipeline(k key) (vk.Pipeline, error) {
	if p := d.pipelines[k]; p != 0 {
		return p, nil
	}
	p, r := d.compile(k)
	if r != vk.SUCCESS {
		return 0, d.failed("vkCreateComputePipelines", r)
	}
	d.pipelines[k] = p
	return p, nil
}

// compile may be called by several goroutines at a time.
func (d *device) compile(k key) (vk.Pipeline, vk.Result) {
	text, err := shaders.ReadFile(k.file)
	if err != nil {
		panic(err) // it is embedded
	}
	code := make([]uint32, len(text)/4) // aligned as Vulkan wants it
	for i := range code {
		code[i] = binary.LittleEndian.Uint32(text[4*i:])
	}
	module, r := d.lib.CreateShaderModule(d.handle, &vk.ShaderModuleCreateInfo{
		Header: vk.Header{SType: vk.STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO}, CodeSize: uintptr(len(text)), Code: unsafe.Pointer(&code[0]),
	})
	if r != vk.SUCCESS {
		return 0, r
	}
	defer d.lib.DestroyShaderModule(d.handle, module)
	entries := make([]vk.SpecializationMapEntry, len(k.constants))
	for i := range entries {
		entries[i] = vk.SpecializationMapEntry{ConstantID: uint32(i), Offset: uint32(4 * i), Size: 4}
	}
	constants := &k.constants
	info := &vk.ComputePipelineCreateInfo{Header: vk.Header{SType: vk.STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO}, Layout: d.layout}
	info.Stage = vk.PipelineShaderStageCreateInfo{
		Header: vk.Header{SType: vk.STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO},
		Stage:  vk.SHADER_STAGE_COMPUTE_BIT, Module: module, Name: unsafe.Pointer(&[]byte("main\x00")[0]),
		SpecializationInfo: unsafe.Pointer(&vk.SpecializationInfo{
			MapEntryCount: uint32(len(entries)), MapEntries: unsafe.Pointer(&entries[0]), DataSize: uintptr(4 * len(k.constants)), Data: unsafe.Pointer(constants),
		}),
	}
	if d.features.size.ComputeFullSubgroups != 0 && k.constants[0]%d.subgroup == 0 {
		info.Stage.Flags = vk.PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT
	}
	return d.lib.CreateComputePipelines(d.handle, info)
}
