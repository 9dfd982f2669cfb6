package monitor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// processes returns a table of those that use the GPUs that are shown, in at most
// `most` lines; nothing where there is none.
func (v View) processes(h *History, shown []int, columns, most int) []string {
	var list []event.Process
	for _, source := range slices.Sorted(maps.Keys(h.processes)) {
		for _, p := range h.processes[source] {
			if slices.ContainsFunc(shown, func(at int) bool {
				card := h.devices[at].card
				return card != nil && p.Card != nil && *card == *p.Card
			}) {
				list = append(list, p)
			}
		}
	}
	if len(list) == 0 || most < 3 {
		return nil
	}
	value := func(x *float64) float64 {
		if x == nil {
			return 0
		}
		return *x
	}
	slices.SortStableFunc(list, func(a, b event.Process) int {
		return cmp.Or(cmp.Compare(value(b.Busy), value(a.Busy)), cmp.Compare(value(b.Memory), value(a.Memory)), cmp.Compare(a.PID, b.PID), cmp.Compare(*a.Card, *b.Card))
	})
	number := func(x *float64, format func(float64) string) string {
		if x == nil {
			return v.glyph("–", "-")
		}
		return format(*x)
	}
	percent := func(x float64) string { return fmt.Sprintf("%.0f %%", x) }
	row := func(cells ...string) string {
		widths := []int{7, -9, 3, 6, 8, 7, 8}
		var b strings.Builder
		for i, c := range cells[:len(widths)] {
			if columns < 64 && (i == 1 || i >= 5) { // the user, the CPU and its memory
				continue
			}
			w := widths[i]
			c = ansi.Truncate(c, max(w, -w), v.glyph("…", "~"))
			gap := strings.Repeat(" ", max(0, max(w, -w)-ansi.StringWidth(c)))
			if w > 0 {
				c = gap + c
			} else {
				c += gap
			}
			b.WriteString(c + " ")
		}
		text := b.String()
		return text + ansi.Truncate(" "+cells[len(widths)], max(0, columns-ansi.StringWidth(text)), v.glyph("…", "..."))
	}
	lines := []string{v.show(row("PID", "user", "GPU", "busy", "GPU mem", "CPU", "memory", "command"), faint)}
	for i, p := range list {
		if len(lines) == most-1 && i < len(list)-1 {
			lines = append(lines, v.show(fmt.Sprintf("%*s %d more", 7, v.glyph("…", "..."), len(list)-i), faint))
			break
		}
		lines = append(lines, row(fmt.Sprint(p.PID), v.clean(p.User), fmt.Sprint(*p.Card), number(p.Busy, percent), number(p.Memory, unit.Bytes),
			number(p.CPU, percent), number(p.Resident, unit.Bytes), cmp.Or(v.clean(p.Name), v.glyph("–", "-"))))
	}
	return lines
}
