package gocpu

import (
	"testing"

	"gpuplay/internal/bench"
	"gpuplay/internal/engine/enginetest"
	"gpuplay/internal/gemm"
	"gpuplay/internal/matrix"
)

func TestConforms(t *testing.T) {
	for _, isa := range gemm.ISAs() {
		t.Run(string(isa), func(t *testing.T) {
			enginetest.Run(t, newEngine(t, Options{ISA: string(isa)}), enginetest.Want{DTypes: func(bench.Device) []matrix.DType {
				return []matrix.DType{matrix.Float64, matrix.Float32, matrix.Float16, matrix.BFloat16, matrix.Int8}
			}})
		})
	}
}
