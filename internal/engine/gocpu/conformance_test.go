package gocpu

import (
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

func TestConforms(t *testing.T) {
	for _, isa := range gemm.ISAs() {
		t.Run(string(isa), func(t *testing.T) {
			enginetest.Run(t, newEngine(t, Options{ISA: string(isa)}), enginetest.Want{DTypes: func(hardware.Device) []matrix.DType {
				return []matrix.DType{matrix.Float64, matrix.Float32, matrix.Float16, matrix.BFloat16, matrix.Int8}
			}})
		})
	}
}
