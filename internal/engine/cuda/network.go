package cuda

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/network"
	"github.com/gpuplay/gpuplay/internal/ptx"
)

// A training is a small network on a GPU: a kernel of one block, which makes many steps in one
// launch. The weights and the state of the optimizer stay on the GPU.
type training struct {
	gpu    *gpu
	task   network.Task
	kernel *ptx.Trainer
	call   call
	word   *uint32        // the last argument of call: the number of steps
	memory []cuda.Pointer // of call: the data, what the kernel keeps, and the turn
	made   int            // steps
}

// Network prepares the training of a network on a device.
func (e *Engine) Network(ctx context.Context, d hardware.Device, task network.Task) (network.Stepper, error) {
	g, err := e.machine.gpu(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	if err := task.Check(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "%v", err)
	}
	kernel, err := ptx.NewTrainer(g.card, ptx.Network{Shape: task.Shape, Loss: task.Loss, Rule: task.Rule, Batch: task.Batch, Double: task.Double}, len(task.Y))
	if err != nil {
		return nil, err
	}
	t := &training{gpu: g, task: task, kernel: kernel}
	if err := g.do(ctx, t.prepare); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// prepare compiles the kernel and copies the data and the weights. On the GPU's thread.
func (t *training) prepare() error {
	lib := t.gpu.lib
	module, err := t.gpu.module(t.kernel.Kernel)
	if err != nil {
		return err
	}
	state := make([]float64, t.kernel.Memory/t.kernel.Size)
	for i, w := range t.task.Weights {
		state[t.kernel.Slot[i]] = w
	}
	l := t.kernel.Launches[0]
	t.call = call{grid: [3]uint32{1, 1, 1}, block: [3]uint32{uint32(l.Block[0]), 1, 1}, shared: uint32(l.Shared)}
	turn := t.kernel.Rows + 4*ptx.MaxSteps*t.task.Batch
	for _, content := range [][]byte{t.bytes(t.task.X, t.task.Y), t.bytes(state), make([]byte, turn)} {
		at := new(cuda.Pointer)
		if err := t.gpu.check("MemAlloc", lib.MemAlloc(at, uintptr(len(content)))); err != nil {
			return err
		}
		t.memory = append(t.memory, *at)
		t.call.values = append(t.call.values, unsafe.Pointer(at))
		if err := t.upload(*at, content); err != nil {
			return err
		}
	}
	t.word = new(uint32)
	t.call.values = append(t.call.values, unsafe.Pointer(t.word))
	if err := t.gpu.check("ModuleGetFunction", lib.ModuleGetFunction(&t.call.function, module, cstring(l.Entry))); err != nil {
		return err
	}
	if l.Shared > manyShared {
		return t.gpu.check("FuncSetAttribute", lib.FuncSetAttribute(t.call.function, cuda.FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, int32(l.Shared)))
	}
	return nil
}

// bytes returns numbers in the type of the network.
func (t *training) bytes(lists ...[]float64) []byte {
	var b []byte
	for _, list := range lists {
		for _, x := range list {
			if t.task.Double {
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
			} else {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
			}
		}
	}
	return b
}

// upload copies to the GPU. On its thread.
func (t *training) upload(to cuda.Pointer, b []byte) error {
	if err := t.gpu.check("MemcpyHtoD", t.gpu.lib.MemcpyHtoD(to, unsafe.Pointer(&b[0]), uintptr(len(b)))); err != nil {
		return err
	}
	// The copy may still be on its way, in a stream for which the kernel's does not wait.
	return t.gpu.check("CtxSynchronize", t.gpu.lib.CtxSynchronize())
}

// Steps makes steps. Its time is that from each launch to the end of the kernel.
func (t *training) Steps(ctx context.Context, rows []int, rate float64) (took time.Duration, err error) {
	if len(rows)%t.task.Batch != 0 {
		return 0, fault.Errorf(fault.Invalid, "%d rows are no steps of %d", len(rows), t.task.Batch)
	}
	for _, r := range rows {
		if r < 0 || r >= len(t.task.Y) { // the kernel would read other memory
			return 0, fault.Errorf(fault.Invalid, "row %d of %d", r, len(t.task.Y))
		}
	}
	err = t.gpu.do(ctx, func() error {
		for len(rows) > 0 {
			some := rows[:min(len(rows), ptx.MaxSteps*t.task.Batch)]
			rows = rows[len(some):]
			spent, err := t.turn(some, rate)
			if err != nil {
				return err
			}
			took += spent
		}
		return nil
	})
	return took, err
}

// turn makes the steps of one launch. On the GPU's thread.
func (t *training) turn(rows []int, rate float64) (time.Duration, error) {
	steps := len(rows) / t.task.Batch
	factors := make([]float64, 0, 3*ptx.MaxSteps)
	for i := range steps {
		first, second := network.AdamShares(t.made + i + 1)
		factors = append(factors, rate, first, second)
	}
	turn := t.bytes(factors[:cap(factors)])
	for _, r := range rows {
		turn = binary.LittleEndian.AppendUint32(turn, uint32(r))
	}
	if err := t.upload(t.memory[2], turn); err != nil {
		return 0, err
	}
	*t.word = uint32(steps)
	begun := time.Now()
	if err := t.gpu.check("LaunchKernel", t.call.launch(t.gpu.lib, t.gpu.stream)); err != nil {
		return 0, err
	}
	if err := t.gpu.check("StreamSynchronize", t.gpu.lib.StreamSynchronize(t.gpu.stream)); err != nil {
		return 0, err
	}
	took := time.Since(begun)
	t.made += steps
	return took, nil
}

// Weights copies the weights from the GPU.
func (t *training) Weights(ctx context.Context) ([]float64, error) {
	size := t.kernel.Size
	b := make([]byte, t.kernel.Slots*size)
	if err := t.gpu.do(ctx, func() error {
		return t.gpu.check("MemcpyDtoH", t.gpu.lib.MemcpyDtoH(unsafe.Pointer(&b[0]), t.memory[1], uintptr(len(b))))
	}); err != nil {
		return nil, err
	}
	weights := make([]float64, len(t.kernel.Slot))
	for i, slot := range t.kernel.Slot {
		if at := b[slot*size:]; t.task.Double {
			weights[i] = math.Float64frombits(binary.LittleEndian.Uint64(at))
		} else {
			weights[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(at)))
		}
	}
	return weights, nil
}

// Place names the part of the GPU that a network this small uses.
func (t *training) Place() string {
	return fmt.Sprintf("one of %d multiprocessors", t.gpu.card.SMs)
}

// Close frees the memory.
func (t *training) Close() error {
	return t.gpu.do(context.Background(), func() error {
		var errs []error
		for _, at := range t.memory {
			errs = append(errs, t.gpu.check("MemFree", t.gpu.lib.MemFree(at)))
		}
		t.memory = nil
		return errors.Join(errs...)
	})
}
