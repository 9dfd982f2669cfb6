package vulkan

import (
	"slices"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A Rung is the one before it with one more idea, to see what the idea is worth. An engine
// with Options.Rung computes with its kernel alone.
type Rung struct {
	Name, Idea string
	DType      matrix.DType // of the operands; sums are in float32
	// Bytes for each multiplication and addition: Global as invocations ask memory and
	// caches for them, in subgroups of 32 and transfers of 32 bytes, the smallest that GPUs
	// have; Shared as invocations or matrix units read them from shared memory, 0 where the
	// driver decides that.
	Global, Shared float64

	kernel    kernel    // one that needs no matrix units
	subgroup  [7]uint32 // or a tile, as in subgroupTiles
	workgroup [4]uint32 // or a tile, as in workgroupTiles
}

// one is a kernel of ladder.comp, in which an invocation computes one element.
func one(name string, rows, columns, step uint32) kernel {
	return kernel{"ladder", rows * columns, rows, columns, 1, []uint32{step}, name}
}

// Ladder is the way from the textbook's loops to matrix units, for square products. That of
// software has smaller tiles, and fewer rungs: its compilers take minutes for large tiles.
func Ladder(kind hardware.Kind) []Rung {
	const side, transfer = 16., 32.
	rungs := []Rung{
		{Name: "naive", Idea: "an invocation for each element of C; neighbouring ones compute elements of a column", DType: matrix.Float32,
			Global: transfer + transfer/32, kernel: one("naive", 32, 4, 0)},
		{Name: "coalesced", Idea: "the same, but neighbouring invocations compute elements of a row, so that they read neighbours in memory", DType: matrix.Float32,
			Global: 4 + transfer/32, kernel: one("coalesced", 4, 32, 1)},
		{Name: "tiled", Idea: "workgroups first copy 16×16 tiles of A and B to shared memory, and use each number 16 times", DType: matrix.Float32,
			Global: 2 * 4 / side, Shared: 2 * 4, kernel: one("tiled", side, side, 2)},
	}
	if kind == hardware.SoftwareGPU {
		return append(rungs,
			blocked("blocked", "an invocation keeps 4×4 sums in registers; the next tiles are on their way while these are multiplied", scalars[0]),
			onSubgroups("matrix units", "matrices of a subgroup (VK_KHR_cooperative_matrix), which the driver computes with vector instructions of the CPU", [7]uint32{32, 32, 16, 16, 16, 1, 1}))
	}
	return append(rungs,
		blocked("blocked", "an invocation keeps 8×8 sums in registers; the next tiles are on their way while these are multiplied", scalars[1]),
		blocked("larger", "workgroups compute 128×128 instead of 64×64, so that memory is read half as often; 8×16 sums to an invocation", scalars[3]),
		onSubgroups("matrix units", "instructions of a subgroup that multiply matrices of 16-bit numbers (VK_KHR_cooperative_matrix)", subgroupTiles[0]),
		Rung{Name: "workgroups", Idea: "matrices that belong to whole workgroups (VK_NV_cooperative_matrix2); the driver decides how they are read", DType: matrix.Float16,
			Global: traffic(workgroupTiles[0][0], workgroupTiles[0][1], 2), workgroup: workgroupTiles[0]})
}

// blocked is a rung of a scalar kernel.
func blocked(name, idea string, k kernel) Rung {
	return Rung{Name: name, Idea: idea, DType: matrix.Float32, Global: traffic(k.bm, k.bn, 4), Shared: traffic(k.sizes[0], k.sizes[1], 4), kernel: k}
}

// onSubgroups is a rung of a kernel with matrices that belong to subgroups.
func onSubgroups(name, idea string, tile [7]uint32) Rung {
	return Rung{Name: name, Idea: idea, DType: matrix.Float16, Global: traffic(tile[0], tile[1], 2), Shared: traffic(tile[3], tile[4], 2), subgroup: tile}
}

// traffic returns the bytes for a multiplication if a tile of C is computed from rows of A
// and columns of B that are each read once.
func traffic(rows, columns uint32, size int) float64 {
	return float64(int(rows+columns)*size) / float64(rows*columns)
}

// rung returns the kernel of a rung for a product. The error is fault.Unsupported if the
// device does not have what the rung is about.
func (d *device) rung(name string, g bench.GEMM) (kernel, error) {
	ladder := Ladder(d.about.Kind)
	i := slices.IndexFunc(ladder, func(r Rung) bool { return r.Name == name })
	if i < 0 {
		return kernel{}, invalid("the ladder of %s has no rung %q", d.about.Name, name)
	}
	r := ladder[i]
	if g.In != r.DType || g.TransA || g.TransB {
		return kernel{}, invalid("the rung %s multiplies %s that is not transposed", name, r.DType)
	}
	k := r.kernel
	switch {
	case k.shader != "" && !d.fits(k, g.In):
		return k, fault.Errorf(fault.Unsupported, "%s: workgroups of %d invocations with %d bytes of shared memory are more than %s allows", name, k.invocations, k.shared(g.In), d.about.Name)
	case k.shader != "":
		return k, nil
	}
	var list []kernel
	if r.workgroup[0] > 0 {
		list = d.matrixKernels(g.In, nil, [][4]uint32{r.workgroup})
	} else {
		list = d.matrixKernels(g.In, [][7]uint32{r.subgroup}, nil)
	}
	if len(list) == 0 {
		return k, fault.Errorf(fault.Unsupported, "%s: %s has no such matrices of %s with these tiles", name, d.about.Name, g.In)
	}
	if k = list[0]; k.shader == "coop" && !k.whole(g) {
		return k, fault.Errorf(fault.Unsupported, "%s: only for sizes that are multiples of %d", name, max(k.bm, k.bn, k.bk))
	}
	return k, nil
}
