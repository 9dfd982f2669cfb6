package vulkan

import (
	"context"
	"math"
	"time"
	"unsafe"

	vk "github.com/gpuplay/gpuplay/internal/ffi/vulkan"
)

// barrier makes what one stage wrote visible to another.
func (d *device) barrier(c vk.CommandBuffer, from, wrote, to, uses uint32) {
	d.lib.CmdPipelineBarrier(c, from, to, &vk.MemoryBarrier{Header: vk.Header{SType: vk.STRUCTURE_TYPE_MEMORY_BARRIER}, SrcAccessMask: wrote, DstAccessMask: uses})
}

// submit records commands and has the device carry them out.
func (d *device) submit(s *slot, record func(c vk.CommandBuffer)) error {
	if r := d.lib.BeginCommandBuffer(s.commands, &vk.CommandBufferBeginInfo{
		Header: vk.Header{SType: vk.STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO}, Flags: vk.COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
	}); r != vk.SUCCESS {
		return d.failed("vkBeginCommandBuffer", r)
	}
	record(s.commands)
	if r := d.lib.EndCommandBuffer(s.commands); r != vk.SUCCESS {
		return d.failed("vkEndCommandBuffer", r)
	}
	commands := &s.commands
	if r := d.lib.QueueSubmit(d.queue, &vk.SubmitInfo{
		Header: vk.Header{SType: vk.STRUCTURE_TYPE_SUBMIT_INFO}, CommandBufferCount: 1, CommandBuffers: unsafe.Pointer(commands),
	}, s.fence); r != vk.SUCCESS {
		return d.failed("vkQueueSubmit", r)
	}
	s.busy = true
	return nil
}

// wait waits until the device has done what a slot holds, if anything.
func (d *device) wait(s *slot) error {
	if !s.busy {
		return nil
	}
	s.busy = false
	if r := d.lib.WaitForFences(d.handle, s.fence, math.MaxUint64); r != vk.SUCCESS {
		return d.failed("vkWaitForFences", r)
	}
	if r := d.lib.ResetFences(d.handle, s.fence); r != vk.SUCCESS {
		return d.failed("vkResetFences", r)
	}
	return nil
}

// once submits commands and waits.
func (d *device) once(record func(c vk.CommandBuffer)) error {
	s := &d.slots[0]
	if err := d.submit(s, record); err != nil {
		return err
	}
	return d.wait(s)
}

// A piece is a part of a product: workgroups from one on.
type piece struct{ first, count int }

// A plan says how products are submitted: each in pieces, several pieces at a time.
type plan struct {
	pieces   []piece
	together int // pieces in one submission
}

// Windows resets a GPU that a submission keeps busy for two seconds, and whoever cancels
// waits for what was submitted.
const (
	longest  = 250 * time.Millisecond // of a piece
	together = 50 * time.Millisecond  // of a submission
)

// newPlan plans a product that takes some time.
func newPlan(blocks int, takes time.Duration) plan {
	n := min(blocks, int(takes/longest)+1)
	var p plan
	for i := range n {
		first, end := blocks*i/n, blocks*(i+1)/n
		p.pieces = append(p.pieces, piece{first, end - first})
	}
	p.together = int(min(1024, max(1, together/max(1, takes/time.Duration(n)))))
	return p
}

// widest is how many workgroups are dispatched side by side; every device allows as many.
const widest = 1 << 15

// products computes a product n times, one after another, and returns the time by the
// device's clock, or nil if it has none.
func (t *task) products(ctx context.Context, p vk.Pipeline, set, n int, how plan) (*time.Duration, error) {
	d := t.device
	total := n * len(how.pieces)
	for done, turn := 0, 0; done < total; turn++ {
		s := &d.slots[turn%len(d.slots)]
		if err := d.wait(s); err != nil {
			return nil, d.drain(err)
		}
		if err := ctx.Err(); err != nil {
			return nil, d.drain(err)
		}
		some := min(how.together, total-done)
		if err := d.submit(s, func(c vk.CommandBuffer) {
			if done == 0 && d.queries != 0 {
				d.lib.CmdResetQueryPool(c, d.queries, 2)
				d.lib.CmdWriteTimestamp(c, vk.PIPELINE_STAGE_TOP_OF_PIPE_BIT, d.queries, 0)
			}
			d.lib.CmdBindPipeline(c, p)
			d.lib.CmdBindDescriptorSets(c, d.layout, t.sets[set])
			for i := done; i < done+some; i++ {
				if i%len(how.pieces) == 0 && i > 0 { // one product after another
					d.barrier(c, vk.PIPELINE_STAGE_COMPUTE_SHADER_BIT, vk.ACCESS_SHADER_WRITE_BIT, vk.PIPELINE_STAGE_COMPUTE_SHADER_BIT, vk.ACCESS_SHADER_READ_BIT|vk.ACCESS_SHADER_WRITE_BIT)
				}
				t.dispatch(c, how.pieces[i%len(how.pieces)])
			}
			if done+some == total && d.queries != 0 {
				d.lib.CmdWriteTimestamp(c, vk.PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, d.queries, 1)
			}
		}); err != nil {
			return nil, d.drain(err)
		}
		done += some
	}
	if err := d.drain(nil); err != nil {
		return nil, err
	}
	if d.queries == 0 {
		return nil, nil
	}
	ticks := make([]uint64, 2)
	if r := d.lib.GetQueryPoolResults(d.handle, d.queries, ticks); r != vk.SUCCESS {
		return nil, d.failed("vkGetQueryPoolResults", r)
	}
	passed := (ticks[1] - ticks[0]) & (math.MaxUint64 >> (64 - d.timestampBits))
	took := time.Duration(float64(passed) * float64(d.limits.TimestampPeriod))
	return &took, nil
}

// drain waits for what was submitted and returns the first error.
func (d *device) drain(err error) error {
	for i := range d.slots {
		if e := d.wait(&d.slots[i]); err == nil {
			err = e
		}
	}
	return err
}

// dispatch records a piece of a product.
func (t *task) dispatch(c vk.CommandBuffer, p piece) {
	for first, left := p.first, p.count; left > 0; {
		x := min(left, widest)
		y := min(left/x, widest)
		t.device.lib.CmdPushConstants(c, t.device.layout, []uint32{uint32(t.gemm.M), uint32(t.gemm.N), uint32(t.gemm.K), uint32(first)})
		t.device.lib.CmdDispatch(c, uint32(x), uint32(y), 1)
		first, left = first+x*y, left-x*y
	}
}
