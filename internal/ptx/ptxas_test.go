package ptx

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// cards are one of each generation, with the shared memory of a block that the CUDA C++
// Programming Guide, "Technical Specifications per Compute Capability", names.
var cards = []Card{
	{CC: 50, SMs: 16, ISA: 88, Shared: 48 << 10},
	{CC: 61, SMs: 28, ISA: 88, Shared: 48 << 10},
	{CC: 70, SMs: 80, ISA: 88, Shared: 96 << 10},
	{CC: 75, SMs: 72, ISA: 88, Shared: 64 << 10},
	{CC: 80, SMs: 108, ISA: 88, Shared: 163 << 10},
	{CC: 86, SMs: 84, ISA: 88, Shared: 99 << 10},
	{CC: 89, SMs: 128, ISA: 88, Shared: 99 << 10},
	{CC: 90, SMs: 132, ISA: 88, Shared: 227 << 10},
	{CC: 100, SMs: 148, ISA: 88, Shared: 227 << 10},
	{CC: 120, SMs: 170, ISA: 88, Shared: 99 << 10},
}

// tool returns the path of one of NVIDIA's tools, which `pip install nvidia-cuda-nvcc-cu12
// nvidia-cuda-nvdisasm` installs, also without a GPU: of the environment .venv-ptxas, or in
// the path.
func tool(t *testing.T, name string) string {
	t.Helper()
	found, _ := filepath.Glob("../../.venv-ptxas/lib/python*/site-packages/nvidia/*/bin/" + name)
	if len(found) > 0 {
		return found[0]
	}
	path, err := exec.LookPath(name)
	if err != nil {
		enginetest.Require(t, "ptxas", name+" is not installed: python3 -m venv .venv-ptxas && .venv-ptxas/bin/pip install --no-deps nvidia-cuda-nvcc-cu12==12.9.86 nvidia-cuda-nvdisasm==13.2.51")
	}
	return path
}

// instructions are what the machine code of a kernel has to have, by the beginning of its
// name and the types of its operands and sums: the names that nvdisasm uses.
func instructions(kernel string, in, acc matrix.DType) []string {
	family, _, _ := strings.Cut(kernel, " ")
	switch {
	case family == "wgmma" && in == matrix.Int8:
		return []string{"IGMMA", "UTMALDG"}
	case family == "wgmma":
		return []string{"HGMMA", "UTMALDG"}
	case family == "fma":
		return []string{"FFMA", "LDS.128", "UTMALDG"}
	case family == "mma" && in == matrix.Int8:
		return []string{"IMMA", "LDSM"}
	case family == "mma" && in == matrix.Float64:
		return []string{"DMMA", "LDGSTS"}
	case family == "mma":
		return []string{"HMMA", "LDSM"}
	case strings.Contains(kernel, "wide") && acc == matrix.Float32:
		return []string{"FFMA", "LDG.E.128", "LDS.128"}
	}
	return nil
}

// Every kernel of every generation is valid, keeps its numbers in registers, and has the
// instructions that it is for. One in sixteen is tried, chosen by a seed that is printed; one
// in six where GPUPLAY_REQUIRE names ptxas, as in CI.
func TestAssembles(t *testing.T) {
	assembler, disassembler := tool(t, "ptxas"), tool(t, "nvdisasm")
	few := 16
	if enginetest.Required("ptxas") {
		few = 6
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	type job struct {
		name, text, arch string
		want             []string
	}
	seen := map[[32]byte]bool{}
	jobs := make(chan job)
	var wait sync.WaitGroup
	spilled := regexp.MustCompile(`[1-9][0-9]* bytes spill`)
	for range runtime.NumCPU() {
		wait.Go(func() {
			for j := range jobs {
				file := filepath.Join(t.TempDir(), "kernel.ptx")
				if err := os.WriteFile(file, []byte(j.text), 0o600); err != nil {
					t.Error(err)
					continue
				}
				out, err := exec.Command(assembler, "-v", "-arch="+j.arch, file, "-o", file+".cubin").CombinedOutput()
				switch {
				case err != nil:
					t.Errorf("%s: %v\n%s", j.name, err, out)
				case spilled.Match(out) || strings.Contains(string(out), "serializ"): // of wgmma: C7510
					t.Errorf("%s:\n%s", j.name, out)
				}
				if err != nil || j.arch == "sm_50" { // which this disassembler does not know
					continue
				}
				code, err := exec.Command(disassembler, "-c", file+".cubin").Output()
				if err != nil {
					t.Errorf("%s: %v", j.name, err)
				}
				for _, want := range j.want {
					if !strings.Contains(string(code), want) {
						t.Errorf("%s has no %s", j.name, want)
					}
				}
			}
		})
	}
	for _, c := range cards {
		for _, ty := range supported {
			for layout := range 4 {
				for _, n := range []int{1021, 4096} {
					p := Problem{M: n, N: n, K: n, In: ty.in, Acc: ty.acc, Out: ty.out, TransA: layout&1 > 0, TransB: layout&2 > 0}
					kernels, _ := Candidates(c, p) // none of TF32 before 8.0
					for _, k := range kernels {
						sum := sha256.Sum256([]byte(k.Text))
						if seen[sum] {
							continue
						}
						seen[sum] = true
						if chance.IntN(few) == 0 {
							jobs <- job{fmt.Sprintf("%s for %d.%d, %s %s %s", k.Name, c.CC/10, c.CC%10, ty.in, ty.acc, p.Layout()), k.Text, k.Target, instructions(k.Name, ty.in, ty.acc)}
						}
					}
				}
			}
		}
	}
	close(jobs)
	wait.Wait()
}
