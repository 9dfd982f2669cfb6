//go:build !noasm

package roof

import "github.com/klauspost/cpuid/v2"

func kernelSets() []kernelSet {
	sets := []kernelSet{portable}
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3) {
		sets = append(sets, avx2)
	}
	if cpuid.CPU.Supports(cpuid.AVX512F) {
		sets = append(sets, avx512)
	}
	return sets
}
