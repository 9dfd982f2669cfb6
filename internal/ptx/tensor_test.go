package ptx

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/matrix"
)

// special compiles the instructions of warps, copies and barriers.
func (c *compiler) special(st *step, op string, part, args []string) error {
	var values []func(*thread) uint64 // of arguments that are values or addresses
	for _, a := range args {
		f, err := c.value(a)
		if strings.HasPrefix(a, "[") {
			f, err = c.address(a)
		}
		if err != nil {
			f = nil
		}
		values = append(values, f)
	}
	in := c.in
	switch {
	case strings.HasPrefix(op, "cp.async.bulk"):
		return c.bulk(st, op, args)
	case strings.HasPrefix(op, "cp.async.cg"):
		st.alone = func(t *thread) {
			to, from, bytes := values[0](t), values[1](t), values[3](t)
			t.block.at(to, 16)
			t.group = append(t.group, func() {
				b := t.block.at(to, 16)
				clear(b)
				if bytes > 0 {
					copy(b, in.global(from, 16)[:bytes])
				}
			})
		}
	case op == "cp.async.commit_group":
		st.alone = func(t *thread) { t.groups, t.group = append(t.groups, t.group), nil }
	case op == "cp.async.wait_group", op == "cp.async.wait_all":
		keep := 0
		if op == "cp.async.wait_group" {
			keep, _ = strconv.Atoi(args[0])
		}
		st.alone = func(t *thread) {
			for len(t.groups) > keep {
				for _, f := range t.groups[0] {
					f()
				}
				t.groups = t.groups[1:]
			}
		}
	case part[0] == "ldmatrix", part[0] == "stmatrix":
		where, what := args[1], args[0]
		if part[0] == "stmatrix" {
			where, what = what, where
		}
		registers, err := c.registers(what)
		if err != nil {
			return err
		}
		address, err := c.address(where)
		if err != nil {
			return err
		}
		transposed := strings.Contains(op, ".trans")
		st.together = func(w []*thread) {
			for m, r := range registers {
				var rows [8][]byte
				for i := range rows {
					rows[i] = w[8*m+i].block.at(address(w[8*m+i]), 16)
				}
				for lane, t := range w {
					for h := range 2 {
						i, j := lane/4, lane%4*2+h
						if transposed {
							i, j = j, i
						}
						element := rows[i][2*j:][:2]
						if part[0] == "stmatrix" {
							save(element, t.registers[r]>>(16*h))
							continue
						}
						t.registers[r] = t.registers[r]&^(0xffff<<(16*h)) | load(element)<<(16*h)
					}
				}
			}
		}
	case part[0] == "mma":
		return c.mma(st, part, args)
	case part[0] == "wgmma":
		if part[1] != "mma_async" {
			st.together = func([]*thread) {}
			return nil
		}
		return c.wgmma(st, part, args, values)
	case op == "barrier.cluster.arrive", op == "barrier.cluster.arrive.aligned":
		st.alone = func(t *thread) {
			t.phases++
			t.block.cluster[0].arrived++
		}
	case op == "barrier.cluster.wait", op == "barrier.cluster.wait.aligned":
		st.alone = func(t *thread) {
			if t.block.cluster[0].arrived < t.phases*len(t.block.cluster)*len(t.block.threads) {
				t.at--
				t.yield = true
			}
		}
	case part[0] == "mapa":
		to, err := c.register(args[0])
		if err != nil {
			return err
		}
		st.alone = func(t *thread) { t.registers[to] = values[1](t)&0xffffff | values[2](t)<<24 }
	case strings.HasPrefix(op, "mbarrier.init"):
		st.alone = func(t *thread) {
			owner, at := t.block.mbarrierAt(values[0](t))
			count := int(values[1](t))
			owner.barrier[at] = &mbarrier{count: count, pending: count}
		}
	case strings.HasPrefix(op, "mbarrier.arrive"):
		st.alone = func(t *thread) {
			owner, at := t.block.mbarrierAt(values[1](t))
			b := owner.barrier[at]
			if strings.Contains(op, "expect_tx") {
				b.bytes += int(values[2](t))
			}
			b.pending--
			b.complete()
		}
	case strings.HasPrefix(op, "mbarrier.try_wait.parity"):
		to, err := c.register(args[0])
		if err != nil {
			return err
		}
		st.alone = func(t *thread) {
			owner, at := t.block.mbarrierAt(values[1](t))
			if owner.barrier[at].phase&1 == int(values[2](t)) { // that phase is still the current one
				t.at--
				t.yield = true
				return
			}
			t.registers[to] = 1
		}
	case part[0] == "fence", part[0] == "prefetch", part[0] == "setmaxnreg":
		st.alone = func(*thread) {}
	default:
		return fmt.Errorf("no instruction %s", op)
	}
	return nil
}

func (b *block) mbarrierAt(address uint64) (*block, int) {
	b.at(address, 8)
	return b.cluster[address>>24], int(address & 0xffffff)
}

// complete begins the next phase when all have arrived, and all bytes.
func (b *mbarrier) complete() {
	if b.pending < 0 {
		panic("more arrivals at a barrier than it waits for")
	}
	if b.pending == 0 && b.bytes == 0 {
		b.pending = b.count
		b.phase++
	}
}

// bulk compiles the copies of TMA.
func (c *compiler) bulk(st *step, op string, args []string) error {
	in := c.in
	if !strings.Contains(op, ".tensor") {
		st.alone = func(*thread) {} // copies are complete at once
		return nil
	}
	mapped, shared := args[1], args[0]
	if strings.Contains(op, ".global.shared") {
		mapped, shared = shared, mapped
	}
	address, err := c.address(shared)
	if err != nil {
		return err
	}
	name, coordinates, _ := strings.Cut(strings.Trim(mapped, "[]"), ",")
	tensorMap, err := c.value(strings.TrimSpace(name))
	if err != nil {
		return err
	}
	xy := split(strings.Trim(strings.TrimSpace(coordinates), "{}"))
	x, err := c.value(xy[0])
	if err != nil {
		return err
	}
	y, err := c.value(xy[1])
	if err != nil {
		return err
	}
	move := func(t *thread, owner int, store bool) int {
		m := in.maps[in.params[tensorMap(t)]]
		size := m.DType.Size()
		stride := m.Stride
		if stride == 0 {
			stride = m.Cols * size
		}
		for i := range m.BoxRows {
			for j := range m.BoxCols {
				offset := (i*m.BoxCols + j) * size
				if m.Swizzle == 128 {
					offset ^= offset >> 7 & 7 << 4
				}
				at := t.block.at(uint64(owner)<<24|(address(t)+uint64(offset))&0xffffff, size)
				row, column := int(int32(y(t)))+i, int(int32(x(t)))+j
				inside := row >= 0 && column >= 0 && row < m.Rows && column < m.Cols
				global := in.base[m.Of] + uint64(m.Offset+row*stride+column*size)
				switch {
				case store && inside:
					copy(in.global(global, size), at)
				case store:
				case inside:
					copy(at, in.global(global, size))
				default:
					clear(at)
				}
			}
		}
		return m.BoxRows * m.BoxCols * size
	}
	if strings.Contains(op, ".global.shared") {
		st.alone = func(t *thread) { move(t, t.block.rank, true) }
		return nil
	}
	barrier, err := c.address(args[2])
	if err != nil {
		return err
	}
	mask := 0
	if len(args) > 3 {
		if mask, err = strconv.Atoi(args[3]); err != nil {
			return err
		}
	}
	st.alone = func(t *thread) {
		to := mask
		if to == 0 {
			to = 1 << t.block.rank
		}
		for rank, b := range t.block.cluster {
			if to>>rank&1 == 1 {
				bytes := move(t, rank, false)
				b.barrier[int(barrier(t)&0xffffff)].bytes -= bytes
				b.barrier[int(barrier(t)&0xffffff)].complete()
			}
		}
	}
	return nil
}

// element returns number i of a register, or of a row in memory.
func element(types string, x uint64, i int) float64 {
	switch types {
	case "f16":
		return matrix.Float16.From16(uint16(x >> (16 * i)))
	case "bf16":
		return matrix.BFloat16.From16(uint16(x >> (16 * i)))
	case "s8":
		return float64(int8(x >> (8 * i)))
	case "f64":
		return math.Float64frombits(x)
	}
	return float64(math.Float32frombits(uint32(x) &^ 0x1fff)) // tf32 has no lower bits
}

// mma compiles mma.sync: PTX ISA, "Matrix fragments for mma.m16n8k16" and its kin. Each
// register of A and B holds 4 bytes of a row of A or a column of B: lane l has row l/4, and
// the l%4-th 4 bytes.
func (c *compiler) mma(st *step, part, args []string) error {
	in := part[7]
	var r [4][]int
	for i := range r {
		var err error
		if r[i], err = c.registers(args[i]); err != nil {
			return err
		}
	}
	width := map[string]int{"f16": 2, "bf16": 2, "tf32": 1, "s8": 4, "f64": 1}[in] // elements of a register
	rows := 16
	if strings.HasPrefix(part[3], "m8") {
		rows = 8
	}
	halves := len(r[2]) // registers of B: parts of k
	depth := 4 * width * halves
	if want := part[3][strings.Index(part[3], "k")+1:]; want != strconv.Itoa(depth) {
		return fmt.Errorf("%s has k %d", part[3], depth)
	}
	if len(r[1]) != halves*rows/8 || len(r[0]) != rows/4 {
		return fmt.Errorf("wrong number of registers")
	}
	st.together = func(w []*thread) {
		var a [16][]float64
		var b [8][]float64
		for i := range rows {
			a[i] = make([]float64, depth)
			for k := range depth {
				lane, register := i%8*4+k/width%4, k/(4*width)*(rows/8)+i/8
				a[i][k] = element(in, w[lane].registers[r[1][register]], k%width)
			}
		}
		for j := range 8 {
			b[j] = make([]float64, depth)
			for k := range depth {
				b[j][k] = element(in, w[j*4+k/width%4].registers[r[2][k/(4*width)]], k%width)
			}
		}
		for i := range rows {
			for j := range 8 {
				t, register := w[i%8*4+j/2], i/8*2+j%2
				accumulate(in, t, r[0][register], t.registers[r[3][register]], a[i], b[j])
			}
		}
	}
	return nil
}

// accumulate sets a register to a sum and the product of a row and a column.
func accumulate(in string, t *thread, to int, from uint64, a, b []float64) {
	var sum float64
	switch in {
	case "s8":
		sum = float64(int32(from))
	case "f64":
		sum = math.Float64frombits(from)
	default:
		sum = float64(float32of(from))
	}
	for k := range a {
		sum += a[k] * b[k]
	}
	switch in {
	case "s8":
		t.registers[to] = uint64(uint32(int32(sum)))
	case "f64":
		t.registers[to] = math.Float64bits(sum)
	default:
		t.registers[to] = bits32(float32(sum))
	}
}

// wgmma compiles wgmma.mma_async: a warp computes its 16 of the 64 rows.
func (c *compiler) wgmma(st *step, part, args []string, values []func(*thread) uint64) error {
	shape, in := part[4], part[6]
	var columns, depth int
	if _, err := fmt.Sscanf(shape, "m64n%dk%d", &columns, &depth); err != nil {
		return err
	}
	registers, err := c.registers(args[0])
	if err != nil {
		return err
	}
	if len(registers) != columns/2 {
		return fmt.Errorf("%d registers for %d columns", len(registers), columns)
	}
	size := map[string]int{"f16": 2, "bf16": 2, "tf32": 4, "s8": 1}[in]
	transposed := [2]bool{}
	if size == 2 {
		transposed = [2]bool{args[6] == "1", args[7] == "1"}
	}
	// at returns element (i, k) of an operand by its descriptor: row i of A, or column i
	// of B. The swizzle is of the address.
	at := func(t *thread, descriptor uint64, mn bool, i, k int) float64 {
		start := descriptor & 0x3fff << 4
		leading, stride := descriptor>>16&0x3fff<<4, descriptor>>32&0x3fff<<4
		if descriptor>>62 != 1 {
			panic("a swizzle other than 128 bytes")
		}
		var address uint64
		if mn {
			address = start + uint64(i/64)*leading + uint64(k/8)*stride + uint64(k%8)*128 + uint64(i%64*size)
		} else {
			address = start + uint64(i/8)*stride + uint64(i%8)*128 + uint64(k*size)
		}
		address ^= address >> 7 & 7 << 4
		return element(in, load(t.block.at(uint64(t.block.rank)<<24|address, size)), 0)
	}
	st.together = func(w []*thread) {
		t := w[0]
		rows := t.id / 32 % 4 * 16
		var a [16][]float64
		for i := range a {
			a[i] = make([]float64, depth)
			for k := range depth {
				a[i][k] = at(t, values[1](t), transposed[0], rows+i, k)
			}
		}
		for j := range columns {
			b := make([]float64, depth)
			for k := range depth {
				b[k] = at(t, values[2](t), transposed[1], j, k)
			}
			for i := range a {
				lane := w[i%8*4+j%8/2]
				register := registers[j/8*4+i/8*2+j%2]
				from := lane.registers[register]
				if values[3](lane) == 0 {
					from = 0
				}
				accumulate(in, lane, register, from, a[i], b)
			}
		}
	}
	return nil
}
