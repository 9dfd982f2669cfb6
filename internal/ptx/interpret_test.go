package ptx

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// An interpreter of the PTX that this package writes, so that the text that a driver
// compiles is tested where there is no card. It catches more than a copy of the loops in
// Go would: wrong addresses, predicates, fragments and barriers are wrong here too. Every
// access is checked against the bounds of A, B, C, the workspace and shared memory.
//
// Threads run one after the other until they need others. Instructions of a warp run when
// all its threads have arrived at them. Asynchronous copies (cp.async) take effect when
// they are waited for, not before. What it does not show are races within an interval
// between barriers, and the delays of bulk copies and of wgmma.

// A program is an entry that is ready to run.
type program struct {
	code      []step
	registers int
	params    int
	threads   int
	cluster   int
	labels    map[string]int
	static    int // bytes of static shared memory
}

// A step is one instruction.
type step struct {
	text      string
	predicate int // register, -1: none
	negated   bool
	alone     func(t *thread)   // of one thread
	together  func(w []*thread) // of a warp
	barrier   bool              // of a block
}

type thread struct {
	registers []uint64
	at        int
	done      bool
	yield     bool
	moved     bool
	id, lane  int
	block     *block
	group     []func() // copies that are not committed
	groups    [][]func()
	phases    int // of the cluster's barrier
}

type block struct {
	index   int
	rank    int
	grid    int
	shared  []byte
	threads []*thread
	cluster []*block
	barrier map[int]*mbarrier
	arrived int // threads at the cluster's barrier
}

type mbarrier struct{ count, pending, bytes, phase int }

// A region is a range of global memory.
type region struct {
	start uint64
	bytes []byte
}

type interpreter struct {
	p       *program
	regions []region
	maps    []*TensorMap
	base    map[ParamKind]uint64
	params  []uint64 // values, or numbers of maps
}

// sharedStart is not 0, so that an offset does not pass for an address.
const sharedStart = 1024

var (
	labelLine = regexp.MustCompile(`^([A-Za-z_]\w*):\s*`)
	entryHead = regexp.MustCompile(`(?s)\.visible \.entry (\w+)\((.*?)\)(.*?)\n\{`)
)

// parse reads the entry of a module.
func (in *interpreter) parse(module, name string) error {
	module = regexp.MustCompile(`//.*`).ReplaceAllString(module, "")
	for _, m := range entryHead.FindAllStringSubmatchIndex(module, -1) {
		if module[m[2]:m[3]] != name {
			continue
		}
		p := &program{labels: map[string]int{}, cluster: 1}
		in.p = p
		c := &compiler{in: in, p: p, symbols: map[string]int{"ring": sharedStart, "stages": sharedStart, "arena": sharedStart}}
		for i, param := range strings.Split(module[m[4]:m[5]], ",") {
			words := strings.Fields(param)
			id := words[len(words)-1]
			id, _, _ = strings.Cut(id, "[")
			c.params = append(c.params, id)
			c.symbols[id] = i
			p.params++
		}
		head := module[m[6]:m[7]]
		if _, err := fmt.Sscanf(head[strings.Index(head, ".maxntid"):], ".maxntid %d", &p.threads); err != nil {
			return err
		}
		if i := strings.Index(head, ".reqnctapercluster"); i >= 0 {
			if _, err := fmt.Sscanf(head[i:], ".reqnctapercluster %d", &p.cluster); err != nil {
				return err
			}
		}
		return c.body(module[m[1]:])
	}
	return fmt.Errorf("no entry %s", name)
}

// A compiler turns statements into steps.
type compiler struct {
	in      *interpreter
	p       *program
	params  []string
	scopes  []map[string]int // registers
	symbols map[string]int   // parameters, by number, and shared variables, by address
}

func (c *compiler) body(text string) error {
	c.scopes = []map[string]int{{}}
	for len(c.scopes) > 0 {
		text = strings.TrimLeft(text, " \t\n")
		if m := labelLine.FindStringSubmatch(text); m != nil {
			c.p.labels[m[1]] = len(c.p.code)
			text = text[len(m[0]):]
			continue
		}
		switch text[0] {
		case '{':
			c.scopes = append(c.scopes, map[string]int{})
			text = text[1:]
			continue
		case '}':
			c.scopes = c.scopes[:len(c.scopes)-1]
			text = text[1:]
			continue
		}
		statement, rest, ok := strings.Cut(text, ";")
		if !ok {
			return fmt.Errorf("no end of %q", text)
		}
		text = rest
		if err := c.statement(strings.TrimSpace(statement)); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func (c *compiler) declare(name string) {
	c.scopes[len(c.scopes)-1][name] = c.p.registers
	c.p.registers++
}

func (c *compiler) statement(s string) error {
	if rest, ok := strings.CutPrefix(s, ".reg "); ok {
		_, names, _ := strings.Cut(rest, " ")
		for _, name := range strings.Split(names, ",") {
			name = strings.TrimSpace(name)
			if base, count, many := strings.Cut(name, "<"); many {
				n, err := strconv.Atoi(strings.TrimSuffix(count, ">"))
				if err != nil {
					return err
				}
				for i := range n {
					c.declare(fmt.Sprint(base, i))
				}
				continue
			}
			c.declare(name)
		}
		return nil
	}
	if strings.HasPrefix(s, ".shared ") {
		m := regexp.MustCompile(`(\w+)\[(\d+)\]$`).FindStringSubmatch(s)
		size, err := strconv.Atoi(m[2])
		c.symbols[m[1]] = sharedStart + c.p.static
		c.p.static += size
		return err
	}
	st := step{text: s, predicate: -1}
	if s[0] == '@' {
		guard, rest, _ := strings.Cut(s[1:], " ")
		guard, st.negated = strings.CutPrefix(guard, "!")
		var err error
		if st.predicate, err = c.register(guard); err != nil {
			return err
		}
		s = strings.TrimSpace(rest)
	}
	op, operands, _ := strings.Cut(s, " ")
	err := c.instruction(&st, op, split(operands))
	c.p.code = append(c.p.code, st)
	return err
}

// split splits operands at commas that are in no brackets.
func split(s string) []string {
	var out []string
	depth, start := 0, 0
	for i, r := range s {
		switch r {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(s[start:i]))
				start = i + 1
			}
		}
	}
	if last := strings.TrimSpace(s[start:]); last != "" {
		out = append(out, last)
	}
	return out
}

func (c *compiler) register(name string) (int, error) {
	for i := len(c.scopes) - 1; i >= 0; i-- {
		if r, ok := c.scopes[i][name]; ok {
			return r, nil
		}
	}
	return 0, fmt.Errorf("no register %q", name)
}

// registers returns those of {a, b, …}, or of a single name.
func (c *compiler) registers(s string) ([]int, error) {
	var out []int
	for _, name := range split(strings.Trim(s, "{}")) {
		r, err := c.register(name)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// value returns a function that reads a register, a number, a special register or the
// address of a shared variable.
func (c *compiler) value(s string) (func(t *thread) uint64, error) {
	if special, ok := map[string]func(t *thread) uint64{
		"%tid.x":           func(t *thread) uint64 { return uint64(t.id) },
		"%ctaid.x":         func(t *thread) uint64 { return uint64(t.block.index) },
		"%nctaid.x":        func(t *thread) uint64 { return uint64(t.block.grid) },
		"%cluster_ctarank": func(t *thread) uint64 { return uint64(t.block.rank) },
	}[s]; ok {
		return special, nil
	}
	if bits, ok := strings.CutPrefix(s, "0f"); ok {
		x, err := strconv.ParseUint(bits, 16, 64)
		return func(*thread) uint64 { return x }, err
	}
	if bits, ok := strings.CutPrefix(s, "0d"); ok {
		x, err := strconv.ParseUint(bits, 16, 64)
		return func(*thread) uint64 { return x }, err
	}
	if x, err := strconv.ParseInt(s, 0, 64); err == nil {
		return func(*thread) uint64 { return uint64(x) }, nil
	}
	if x, err := strconv.ParseUint(s, 0, 64); err == nil {
		return func(*thread) uint64 { return x }, nil
	}
	if r, err := c.register(s); err == nil {
		return func(t *thread) uint64 { return t.registers[r] }, nil
	}
	if address, ok := c.symbols[s]; ok {
		for i, name := range c.params {
			if name == s { // its address stands for its number
				return func(*thread) uint64 { return uint64(i) }, nil
			}
		}
		return func(t *thread) uint64 { return uint64(t.block.rank)<<24 | uint64(address) }, nil
	}
	return nil, fmt.Errorf("no operand %q", s)
}

// address returns a function for [register+offset].
func (c *compiler) address(s string) (func(t *thread) uint64, error) {
	base, offset, _ := strings.Cut(strings.Trim(s, "[]"), "+")
	add := 0
	if offset != "" {
		var err error
		if add, err = strconv.Atoi(offset); err != nil {
			return nil, err
		}
	}
	v, err := c.value(base)
	return func(t *thread) uint64 { return v(t) + uint64(add) }, err
}

// global returns memory of a region; an access outside of all of them panics, which run
// turns into an error.
func (in *interpreter) global(address uint64, size int) []byte {
	for _, r := range in.regions {
		if address >= r.start && address+uint64(size) <= r.start+uint64(len(r.bytes)) {
			if address%uint64(size) != 0 {
				panic(fmt.Sprintf("an access of %d bytes at %#x", size, address))
			}
			return r.bytes[address-r.start:][:size]
		}
	}
	panic(fmt.Sprintf("an access of %d bytes at %#x, outside of all buffers", size, address))
}

// at returns shared memory of the block itself, or of its neighbour in the cluster.
func (b *block) at(address uint64, size int) []byte {
	owner := b.cluster[address>>24]
	offset := address&0xffffff - sharedStart
	if address%uint64(size) != 0 || offset+uint64(size) > uint64(len(owner.shared)) {
		panic(fmt.Sprintf("an access of %d bytes at %#x of shared memory", size, address))
	}
	return owner.shared[offset:][:size]
}

func load(b []byte) uint64 {
	var x [8]byte
	copy(x[:], b)
	return binary.LittleEndian.Uint64(x[:])
}

func save(b []byte, x uint64) {
	var y [8]byte
	binary.LittleEndian.PutUint64(y[:], x)
	copy(b, y[:])
}

// launch runs one launch.
func (in *interpreter) launch(module string, l Launch) (err error) {
	if err := in.parse(module, l.Entry); err != nil {
		return err
	}
	if len(l.Params) != in.p.params {
		return fmt.Errorf("%s gets %d parameters of %d", l.Entry, len(l.Params), in.p.params)
	}
	in.params = nil
	for _, p := range l.Params {
		switch p.Kind {
		case Word:
			in.params = append(in.params, uint64(p.Word))
		case Map:
			in.params = append(in.params, uint64(len(in.maps)))
			in.maps = append(in.maps, p.Map)
		default:
			in.params = append(in.params, in.base[p.Kind]+uint64(p.Offset))
		}
	}
	if l.Block[0] != in.p.threads {
		return fmt.Errorf("%d threads are launched of %d", l.Block[0], in.p.threads)
	}
	for first := 0; first < l.Grid[0]; first += in.p.cluster {
		if err := in.cluster(first, l); err != nil {
			return fmt.Errorf("block %d: %w", first, err)
		}
	}
	return nil
}

func (in *interpreter) cluster(first int, l Launch) (err error) {
	var blocks []*block
	for rank := range in.p.cluster {
		b := &block{index: first + rank, rank: rank, grid: l.Grid[0], shared: make([]byte, in.p.static+l.Shared), barrier: map[int]*mbarrier{}}
		for i := range b.shared {
			b.shared[i] = 0xff
		}
		for id := range in.p.threads {
			b.threads = append(b.threads, &thread{registers: make([]uint64, in.p.registers), id: id, lane: id % 32, block: b})
		}
		blocks = append(blocks, b)
	}
	for _, b := range blocks {
		b.cluster = blocks
	}
	for {
		progress, done := false, true
		for _, b := range blocks {
			moved, ended, err := in.turn(b)
			if err != nil {
				return err
			}
			progress = progress || moved
			done = done && ended
		}
		if done {
			return nil
		}
		if !progress {
			for _, b := range blocks {
				for _, t := range b.threads {
					if !t.done {
						return fmt.Errorf("thread %d waits for ever at %q", t.id, in.p.code[t.at].text)
					}
				}
			}
		}
	}
}

// turn runs every thread of a block as far as it gets.
func (in *interpreter) turn(b *block) (progress, done bool, err error) {
	done = true
	atBarrier, running := 0, 0
	for first := 0; first < len(b.threads); first += 32 {
		warp := b.threads[first:][:32]
		for {
			active := warp[:0:0]
			for _, t := range warp {
				if err := in.run(t); err != nil {
					return false, false, err
				}
				progress = progress || t.moved
				if !t.done {
					active = append(active, t)
				}
			}
			if len(active) == 0 {
				break
			}
			done = false
			s := in.p.code[active[0].at]
			same := s.together != nil
			for _, t := range active {
				same = same && t.at == active[0].at
			}
			if !same {
				for _, t := range active {
					running++
					if in.p.code[t.at].barrier {
						atBarrier++
					}
				}
				break
			}
			if err := guarded(func() { s.together(active) }); err != nil {
				return false, false, fmt.Errorf("warp %d at %q: %w", first/32, s.text, err)
			}
			for _, t := range active {
				t.at++
			}
			progress = true
		}
	}
	if running > 0 && atBarrier == running {
		for _, t := range b.threads {
			if !t.done {
				t.at++
			}
		}
		progress = true
	}
	return progress, done, nil
}

func guarded(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	f()
	return nil
}

// run runs a thread until it ends, waits for a barrier, or needs its warp.
func (in *interpreter) run(t *thread) error {
	t.moved, t.yield = false, false
	return guarded(func() {
		for !t.done && !t.yield {
			s := &in.p.code[t.at]
			if s.predicate >= 0 && (t.registers[s.predicate] != 0) == s.negated {
				t.at++
				t.moved = true
				continue
			}
			if s.alone == nil {
				return
			}
			t.at++
			s.alone(t)
			if !t.yield {
				t.moved = true
			}
		}
	})
}
