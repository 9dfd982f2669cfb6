// Package cublaslt calls NVIDIA's cuBLASLt, of CUDA 12 or 13, which multiplies matrices on
// its GPUs. It has the few functions that this program needs, under their C names without the
// prefix cublasLt; https://docs.nvidia.com/cuda/cublas documents them, "Using the cuBLASLt
// API". The library works in the context that is current on the calling thread.
package cublaslt

import (
	"fmt"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
)

// Status is cublasStatus_t. It is an error unless it is SUCCESS.
type Status int32

// The values of cublasStatus_t that callers tell apart.
const (
	SUCCESS       Status = 0
	ALLOC_FAILED  Status = 3
	INVALID_VALUE Status = 7
	NOT_SUPPORTED Status = 15
)

// Handles and enumerations of cublasLt.h and library_types.h.
type (
	Handle       uintptr // cublasLtHandle_t
	MatmulDesc   uintptr // cublasLtMatmulDesc_t
	MatrixLayout uintptr // cublasLtMatrixLayout_t
	Preference   uintptr // cublasLtMatmulPreference_t

	DataType            int32 // cudaDataType
	ComputeType         int32 // cublasComputeType_t
	DescAttribute       int32 // cublasLtMatmulDescAttributes_t
	PreferenceAttribute int32 // cublasLtMatmulPreferenceAttributes_t
)

// Constants of those files.
const (
	R_32F  DataType = 0
	R_64F  DataType = 1
	R_16F  DataType = 2
	R_8I   DataType = 3
	R_32I  DataType = 10
	R_16BF DataType = 14

	COMPUTE_32F           ComputeType = 68
	COMPUTE_64F           ComputeType = 70
	COMPUTE_32I           ComputeType = 72
	COMPUTE_32F_FAST_TF32 ComputeType = 77

	MATMUL_DESC_TRANSA DescAttribute = 3
	MATMUL_DESC_TRANSB DescAttribute = 4
	OP_T               int32         = 1

	MATMUL_PREF_MAX_WORKSPACE_BYTES PreferenceAttribute = 1
)

// Algo is cublasLtMatmulAlgo_t.
type Algo [8]uint64

// HeuristicResult is cublasLtMatmulHeuristicResult_t: an algorithm with what it needs.
type HeuristicResult struct {
	Algo          Algo
	WorkspaceSize uintptr
	State         Status
	WavesCount    float32
	_             [4]int32
}

// Library is a loaded cuBLASLt.
type Library struct {
	GetVersion      func() uintptr                                                                                                                   `lt:"cublasLtGetVersion"`
	GetStatusString func(Status) string                                                                                                              `lt:"cublasLtGetStatusString"`
	Create          func(*Handle) Status                                                                                                             `lt:"cublasLtCreate"`
	DescCreate      func(d *MatmulDesc, c ComputeType, scale DataType) Status                                                                        `lt:"cublasLtMatmulDescCreate"`
	DescDestroy     func(MatmulDesc) Status                                                                                                          `lt:"cublasLtMatmulDescDestroy"`
	DescSet         func(d MatmulDesc, a DescAttribute, value unsafe.Pointer, size uintptr) Status                                                   `lt:"cublasLtMatmulDescSetAttribute"`
	LayoutCreate    func(l *MatrixLayout, t DataType, rows, columns uint64, leading int64) Status                                                    `lt:"cublasLtMatrixLayoutCreate"`
	LayoutDestroy   func(MatrixLayout) Status                                                                                                        `lt:"cublasLtMatrixLayoutDestroy"`
	PrefCreate      func(*Preference) Status                                                                                                         `lt:"cublasLtMatmulPreferenceCreate"`
	PrefDestroy     func(Preference) Status                                                                                                          `lt:"cublasLtMatmulPreferenceDestroy"`
	PrefSet         func(p Preference, a PreferenceAttribute, value unsafe.Pointer, size uintptr) Status                                             `lt:"cublasLtMatmulPreferenceSetAttribute"`
	GetHeuristic    func(h Handle, d MatmulDesc, a, b, c, out MatrixLayout, p Preference, most int32, results *HeuristicResult, found *int32) Status `lt:"cublasLtMatmulAlgoGetHeuristic"`

	matmul uintptr
	lib    dl.Library
}

// Open loads the library of that name, or in that file.
func Open(name string) (*Library, error) {
	lib, err := dl.Open(name)
	if err != nil {
		return nil, err
	}
	l := &Library{lib: lib}
	if err := lib.RegisterFields(l, "lt"); err != nil {
		return nil, err
	}
	l.matmul, err = lib.Sym("cublasLtMatmul")
	return l, err
}

// File returns the file of the library, "" where the system does not know.
func (l *Library) File() string { return l.lib.Path("cublasLtMatmul") }

// Version returns the library's version: "13.1.0".
func (l *Library) Version() string {
	v := l.GetVersion() // 10000·major + 100·minor + patch, CUBLAS_VERSION
	return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100)
}

// Matmul is cublasLtMatmul, which puts a product into the stream: out = alpha·A·B + beta·C, C
// being out.
func (l *Library) Matmul(h Handle, d MatmulDesc, alpha unsafe.Pointer, a cuda.Pointer, la MatrixLayout, b cuda.Pointer, lb MatrixLayout,
	beta unsafe.Pointer, c cuda.Pointer, lc MatrixLayout, algo *Algo, work cuda.Pointer, workBytes uintptr, s cuda.Stream) Status {
	return Status(dl.Call(l.matmul, uintptr(h), uintptr(d), uintptr(alpha), uintptr(a), uintptr(la), uintptr(b), uintptr(lb),
		uintptr(beta), uintptr(c), uintptr(lc), uintptr(c), uintptr(lc), uintptr(unsafe.Pointer(algo)), uintptr(work), workBytes, uintptr(s)))
}

// Check returns nil for SUCCESS, and otherwise an *Error of the function.
func (l *Library) Check(function string, s Status) error {
	if s == SUCCESS {
		return nil
	}
	return &Error{s, function, l.GetStatusString(s)}
}

// An Error is what a function of the library returned.
type Error struct {
	Status   Status
	Function string // without the prefix cublasLt
	Name     string // "CUBLAS_STATUS_NOT_SUPPORTED"
}

func (e *Error) Error() string {
	return fmt.Sprintf("cublasLt%s: %s (%d)", e.Function, e.Name, e.Status)
}
