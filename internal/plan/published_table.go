package plan

import (
	"fmt"

	"github.com/gpuplay/gpuplay/internal/scaling"
)

// The studies whose figures were read. PaLM's and Gopher's were computed on TPUs, of which
// there is no table here.
var (
	megatron2021 = Study{"Megatron-LM, 2021",
		"github.com/NVIDIA/Megatron-LM at 50a4b5f, images/cases_april2021.png: table 1 of Narayanan et al. 2021, arXiv:2104.04473, with 80 GB instead of 40",
		"heads of 128; size of a microbatch, schedule of the pipeline; InfiniBand HDR; everything is computed again and, as in the paper, counted as work"}
	korthikanti = Study{"Korthikanti et al., 2022",
		"table 5 of arXiv:2205.05198, as github.com/calculon-ai/calculon at 2dd9c5c quotes it, with its splits",
		"InfiniBand HDR"}
	megatron2024 = Study{"Megatron-LM, 2024",
		"github.com/NVIDIA/Megatron-LM at f2e5db4, README.md and images/model_table.png",
		"size of a microbatch, what is computed again, schedule of the pipeline"}
	llama3Study = Study{"Llama 3 405B",
		"P. Balaji's hyperparameters of SC24, as glennklockwood.com/garden/llama-3.1 quotes them; hardware as ai-papers.xuzou.cn/papers/llama3_2024 sums up arXiv:2407.21783",
		"what is computed again, schedule of the pipeline; work with full attention"}
	titan2024 = Study{"torchtitan, 2024",
		"github.com/pytorch/torchtitan at 31a17bf, benchmarks/llama3_h100_202412_torchtitan.md, tables 1 and 3, the rows in bfloat16: H100 with 96 GB of HBM2e (2.4 TB/s), limited to 500 W",
		"nothing is computed again, where some operations were"}
	titanDocs = Study{"torchtitan, documentation",
		"github.com/pytorch/torchtitan at d4c86e3~1, docs/performance.md",
		"InfiniBand HDR with the A100, NDR with the H100; nothing is computed again where some operations were"}
	simumaxStudy = Study{"Megatron-LM on B200, 2026",
		simumax + ", docs/b200/b200_release_v1.2_summary.md, measured with Megatron-LM at 23e00ed",
		"nothing"}
)

// gpt returns a GPT as NVIDIA measures it: no gate, learned positions.
func gpt(layers, width, heads, seq, vocab int, tied bool) scaling.Shape {
	return scaling.Shape{Layers: layers, Width: width, Heads: heads, Vocab: vocab, Seq: seq, Positions: true, Tied: tied}
}

func named(name string) scaling.Shape {
	m, _ := scaling.Lookup(name)
	return m.Shape
}

// on returns a cluster of a GPU and a network that are in the tables.
func on(gpu, network string) cluster {
	g, _ := LookupGPU(gpu)
	n, _ := LookupNetwork(network)
	return cluster{g, n, Node}
}

// published returns the steps.
func published() (list []Published) {
	all, attention := []scaling.Recompute{scaling.RecomputeAll}, []scaling.Recompute{scaling.RecomputeAttention}
	words := func(tensor, pipeline, data int) string {
		return fmt.Sprintf("tp %d, pp %d, dp %d", tensor, pipeline, data)
	}

	for _, r := range []struct {
		model                                            string
		width, layers, parallel, gpus, sequences, tflops int
	}{
		{"1.7B", 2304, 24, 1, 32, 512, 137}, {"3.6B", 3072, 30, 2, 64, 512, 138}, {"7.5B", 4096, 36, 4, 128, 512, 142},
		{"18B", 6144, 40, 8, 256, 1024, 135}, {"39B", 8192, 48, 16, 512, 1536, 138}, {"76B", 10240, 60, 32, 1024, 1792, 140},
		{"145B", 12288, 80, 64, 1536, 2304, 148}, {"310B", 16384, 96, 128, 1920, 2160, 155}, {"530B", 20480, 105, 280, 2520, 2520, 163},
		{"1T", 25600, 128, 512, 3072, 3072, 163},
	} {
		s := gpt(r.layers, r.width, r.width/128, 2048, 51200, true)
		t := min(8, r.parallel)
		// Equation 3 of the paper, which counts the second forward pass.
		h, l := float64(r.width), float64(r.layers)
		work := 96 * float64(r.sequences) * 2048 * l * h * h * (1 + 2048/(6*h) + 51200/(16*l*h))
		list = append(list, Published{
			Study: megatron2021, Model: "GPT " + r.model, GPUs: r.gpus, Split: words(t, r.parallel/t, r.gpus/r.parallel), shape: s, cluster: on("a100", "ib-hdr"),
			Seconds: work / (float64(r.gpus) * float64(r.tflops) * 1e12),
			space:   space{ranks: r.gpus, sequences: r.sequences, tensor: []int{t}, pipeline: []int{r.parallel / t}, zero: []int{0}, recompute: all},
		})
	}
	for _, r := range []struct {
		model                                                string
		width, layers, heads, pipeline, chunks, batch, micro int
		seconds                                              [2]float64 // with all computed again, and with attention alone
	}{
		{"22B", 6144, 48, 64, 1, 1, 4, 4, [2]float64{1.42, 1.10}},
		{"175B", 12288, 96, 96, 8, 3, 64, 1, [2]float64{18.13, 13.75}},
		{"530B", 20480, 105, 128, 35, 3, 280, 1, [2]float64{49.05, 37.83}},
		{"1T", 25600, 128, 160, 64, 1, 512, 1, [2]float64{94.42, 71.49}},
	} {
		for i, recompute := range [][]scaling.Recompute{all, attention} {
			list = append(list, Published{
				Study: korthikanti, Model: "GPT " + r.model, GPUs: 8 * r.pipeline, shape: gpt(r.layers, r.width, r.heads, 2048, 51200, true), cluster: on("a100", "ib-hdr"),
				Split: words(8, r.pipeline, 1) + []string{", all again", ", attention again"}[i], Seconds: r.seconds[i],
				space: space{ranks: 8 * r.pipeline, sequences: r.batch, tensor: []int{8}, pipeline: []int{r.pipeline}, zero: []int{0}, recompute: recompute, microbatches: []int{r.micro}, chunks: []int{r.chunks}},
			})
		}
	}
	for _, r := range []struct {
		model                                             string
		heads, width, layers, tensor, pipeline, sequences int
		tflops                                            float64
	}{
		{"1.7B", 16, 2048, 24, 1, 1, 192, 408.8}, {"7.1B", 32, 4096, 30, 2, 1, 192, 465.9}, {"16B", 48, 6144, 32, 4, 1, 192, 489.1},
		{"32B", 56, 7168, 48, 8, 1, 192, 459.6}, {"70B", 64, 8192, 84, 8, 2, 384, 419.7}, {"119B", 80, 10240, 92, 8, 4, 768, 420.5},
		{"177B", 96, 12288, 96, 8, 6, 1152, 432.8}, {"314B", 128, 16384, 96, 8, 8, 1536, 474.4}, {"462B", 144, 18432, 112, 8, 16, 3072, 459.9},
	} {
		s, gpus := gpt(r.layers, r.width, r.heads, 4096, 131072, false), 48*r.tensor*r.pipeline
		list = append(list, Published{
			Study: megatron2024, Model: "GPT " + r.model, GPUs: gpus, Split: words(r.tensor, r.pipeline, 48) + ", zero 1", shape: s, cluster: on("h100", "ib"),
			Seconds: s.FLOPs(r.sequences, false) / (float64(gpus) * r.tflops * 1e12),
			space:   space{ranks: gpus, sequences: r.sequences, tensor: []int{r.tensor}, pipeline: []int{r.pipeline}, zero: []int{1}, fused: true},
		})
	}
	for _, r := range []struct{ gpus, tflops int }{{8192, 430}, {16384, 400}} {
		s, sequences := named("llama3-405b"), 16<<20/8192
		list = append(list, Published{
			Study: llama3Study, Model: "Llama 3 405B", GPUs: r.gpus, Split: words(8, 16, r.gpus/128) + ", zero 2", shape: s, cluster: on("h100", "roce"),
			Seconds: s.FLOPs(sequences, false) / (float64(r.gpus) * float64(r.tflops) * 1e12),
			space:   space{ranks: r.gpus, sequences: sequences, tensor: []int{8}, pipeline: []int{16}, zero: []int{2}, fused: true},
		})
	}
	grandTeton := on("h100", "roce")
	grandTeton.gpu.Memory.Value, grandTeton.gpu.Bandwidth.Value = 96e9, 2.4e12
	eight := named("llama3-8b")
	for _, r := range []struct {
		what      string
		gpus      int
		perSecond float64 // tokens of each GPU
	}{{"", 8, 5762}, {", compiled", 8, 6667}, {"", 128, 5605}, {", compiled", 128, 6514}} {
		list = append(list, Published{
			Study: titan2024, Model: "Llama 3.1 8B", GPUs: r.gpus, Split: "fsdp" + r.what, shape: eight, cluster: grandTeton,
			Seconds: 2 * 8192 / r.perSecond,
			space:   space{ranks: r.gpus, sequences: 2 * r.gpus, tensor: []int{1}, pipeline: []int{1}, zero: []int{3}, microbatches: []int{2}, recompute: attention, fused: true},
		})
	}
	for _, r := range []struct {
		model     string
		gpus      int
		cluster   cluster
		tensor    int
		batch     int // sequences of each rank of fsdp
		recompute []scaling.Recompute
		perSecond float64
		what      string
	}{
		{"llama3-8b", 64, on("a100", "ib-hdr"), 1, 1, attention, 2904, "fsdp, layers again"},
		{"llama3-8b", 64, on("a100", "ib-hdr"), 1, 1, attention, 2973, "fsdp, operations again"},
		{"llama3-70b", 64, on("a100", "ib-hdr"), 1, 1, all, 331, "fsdp, all again"},
		{"llama3-405b", 128, grandTeton, 8, 2, all, 109, "tp 8, fsdp 16, all again"},
	} {
		s := named(r.model)
		list = append(list, Published{
			Study: titanDocs, Model: r.model, GPUs: r.gpus, Split: r.what, shape: s, cluster: r.cluster,
			Seconds: float64(r.batch) * 8192 / (r.perSecond * float64(r.tensor)),
			space:   space{ranks: r.gpus, sequences: r.batch * r.gpus / r.tensor, tensor: []int{r.tensor}, pipeline: []int{1}, zero: []int{3}, microbatches: []int{r.batch}, recompute: r.recompute, fused: true},
		})
	}
	small, large := named("llama3-70b"), named("llama3-405b")
	small.Layers, small.Seq = 12, 4096
	large.Layers, large.Seq, large.KVHeads = 4, 4096, 16
	for _, r := range []struct {
		tensor, pipeline, data int
		seconds                [2][3]float64 // of 70B and 405B, with 4, 8 and 32 microbatches
		memory                 [2]float64    // GiB of 70B and 405B
	}{
		{1, 2, 4, [2][3]float64{{.843, 1.4768, 5.4365}, {1.0746, 1.9354, 7.0464}}, [2]float64{66.55, 87.08}},
		{2, 1, 4, [2][3]float64{{.7255, 1.387, 5.3765}, {.9073, 1.7168, 6.6041}}, [2]float64{60.68, 81.59}},
		{4, 1, 2, [2][3]float64{{.4098, .7656, 2.9646}, {.476, .8996, 3.4554}}, [2]float64{39.07, 52.89}},
		{8, 1, 1, [2][3]float64{{.2809, .5567, 2.0737}, {.2588, .4881, 1.9018}}, [2]float64{28.29, 38.57}},
	} {
		for i, s := range []scaling.Shape{small, large} {
			for j, m := range []int{4, 8, 32} {
				p := Published{
					Study: simumaxStudy, Model: []string{"Llama 3 70B, 12 layers", "Llama 3 405B, 4 layers"}[i], GPUs: 8, shape: s, cluster: on("b200", "ib"),
					Split: words(r.tensor, r.pipeline, r.data) + fmt.Sprintf(", zero 1, m %d", m), Seconds: r.seconds[i][j], Memory: r.memory[i] * (1 << 30),
					space: space{ranks: 8, sequences: m * r.data, tensor: []int{r.tensor}, pipeline: []int{r.pipeline}, zero: []int{min(1, r.data-1)}, microbatches: []int{1}, chunks: []int{1}, recompute: attention, fused: true},
				}
				if j > 0 { // the same at every number of microbatches
					p.Memory = 0
				}
				list = append(list, p)
			}
		}
	}
	return list
}
