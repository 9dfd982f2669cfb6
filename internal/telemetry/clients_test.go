package telemetry

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What drivers say of open files, in the form of their documentation: amdgpu.rst and
// i915.rst count nanoseconds, xe_drm_client.c cycles.
func TestClients(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Linux has these files")
	}
	amd := func(client, gfx, compute string) string {
		return "pos:\t0\nflags:\t02100002\ndrm-driver:\tamdgpu\ndrm-client-id:\t" + client + "\ndrm-pdev:\t0000:03:00.0\ndrm-memory-vram:\t1024 KiB\ndrm-memory-gtt: \t64 KiB\n" +
			"drm-engine-gfx:\t" + gfx + " ns\ndrm-engine-compute:\t" + compute + " ns\ndrm-engine-capacity-compute:\t4"
	}
	xe := func(cycles, total string) string {
		return "drm-driver:\txe\ndrm-client-id:\t9\ndrm-pdev:\t0000:03:00.0\ndrm-resident-vram0:\t2 MiB\ndrm-total-vram0:\t8 MiB\ndrm-cycles-ccs:\t" + cycles + "\ndrm-total-cycles-ccs:\t" + total
	}
	synctest.Test(t, func(t *testing.T) {
		root := tree(t, map[string]string{
			"proc/10/fd/0": "->/dev/null", "proc/10/fd/3": "->/dev/dri/renderD128", "proc/10/fd/4": "->/dev/dri/renderD128", "proc/10/fd/5": "->/dev/dri/renderD128",
			"proc/10/fdinfo/0": "pos:\t0", "proc/10/fdinfo/3": amd("7", "0", "1000000000"), "proc/10/fdinfo/4": amd("7", "0", "1000000000"), "proc/10/fdinfo/5": amd("8", "500", "0"),
			"proc/20/fd/3": "->/dev/dri/card0", "proc/20/fdinfo/3": xe("100", "1000"),
			"proc/30/fd/3": "->/dev/dri/renderD129", "proc/30/fdinfo/3": "drm-client-id:\t1\ndrm-pdev:\t0000:c1:00.0\ndrm-engine-gfx:\t5 ns",
			"proc/40/fd/3": "->/dev/dri/renderD128", // whose fdinfo cannot be read
			"proc/self/fd": "",
		})
		c := &clients{root: root, pci: "0000:03:00.0"}
		said := func() (list []string) {
			for _, p := range c.list() {
				busy := "-"
				if p.Busy != nil {
					busy = fmt.Sprint(*p.Busy)
				}
				list = append(list, fmt.Sprintf("%d %s %.0f", p.PID, busy, *p.Memory))
			}
			return list
		}
		want := func(what string, list ...string) {
			t.Helper()
			if d := cmp.Diff(list, said()); d != "" {
				t.Errorf("%s (-want +got):\n%s", what, d)
			}
		}
		write := func(name, text string) {
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want("at first", "10 - 2097152", "20 - 2097152")
		time.Sleep(time.Second)
		write("proc/10/fdinfo/3", amd("7", "0", "1250000000"))
		write("proc/10/fdinfo/4", amd("7", "0", "1250000000"))
		write("proc/20/fdinfo/3", xe("500", "1500"))
		want("a second later", "10 25 2097152", "20 80 2097152")
		time.Sleep(time.Second)
		write("proc/10/fdinfo/3", amd("7", "0", "1200000000")) // a count may lag behind
		want("again", "10 0 2097152", "20 - 2097152")
	})
}
