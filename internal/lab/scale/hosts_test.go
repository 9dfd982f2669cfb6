package scale

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
)

// standInSSH answers as hosts in different states do. The real thing is in .ci/scale-hosts.
const standInSSH = `#!/bin/sh
while [ "$1" != -- ]; do shift; done
say() { echo "gpuplay-scale $1"; }
case $2 in
a) say '{"kind":"host","torch":"2.11.0","cpus":2,"distributed":true,"port":4000}' ;;
b) say '{"kind":"host","torch":"2.11.0","cpus":2,"distributed":true,"port":4001}' ;;
older) say '{"kind":"host","torch":"2.10.0","cpus":2,"distributed":true,"port":4002}' ;;
away) echo 'ssh: connect to host away port 22: No route to host' >&2; exit 255 ;;
busy) say '{"kind":"taken","message":"Address already in use"}' ;;
bare) say '{"kind":"missing","message":"No module named torch"}' ;;
alone) say '{"kind":"host","torch":"2.11.0","cpus":2,"distributed":false,"port":4003}' ;;
esac
exec cat >/dev/null
`

// A host that cannot take part is named, with the reason.
func TestHosts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for ssh is a shell script")
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "ssh"), []byte(standInSSH), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, x := range []struct {
		hosts []string
		code  fault.Code
		want  string
	}{
		{[]string{"a", "b"}, "", ""},
		{[]string{"a", "older"}, fault.Invalid, "different versions of PyTorch: a has 2.11.0, older has 2.10.0"},
		{[]string{"a", "away"}, fault.Unavailable, "host away does not answer: ssh: connect to host away port 22: No route to host"},
		{[]string{"busy", "b"}, fault.Unavailable, "host busy cannot listen on port 29500: Address already in use"},
		{[]string{"a", "bare"}, fault.Unavailable, "host bare cannot use PyTorch: No module named torch"},
		{[]string{"a", "alone"}, fault.Unavailable, "PyTorch 2.11.0 was built without torch.distributed"},
	} {
		s := &session{
			o: options(func(o *Options) { o.Hosts, o.Port = x.hosts, 29500 }), s: event.NewStream("r", nil), r: &record.Run{},
			d:     &lab.Deps{Catalog: &catalog.Catalog{Env: catalog.Environment{Children: os.Environ()}}},
			found: python.Interpreter{Path: "/usr/bin/python3", Has: true},
		}
		err := s.look(t.Context())
		s.close(func(message) {})
		switch {
		case x.want == "":
			if err != nil {
				t.Errorf("%v: %v", x.hosts, err)
			}
		case !errors.Is(err, x.code) || !strings.HasPrefix(err.Error(), x.want):
			t.Errorf("%v: %v, want %s", x.hosts, err, x.want)
		}
	}
}

// What torchrun says where it could not start ranks.
func TestNotStarted(t *testing.T) {
	s := &session{o: options(func(o *Options) { o.Hosts = []string{"me@a", "b"} }), machines: []machine{{Port: 4000}, {}}}
	for reason, want := range map[string]string{
		"DistNetworkError: The server socket has failed to listen on any local network address. port: 4000, useIpv6: 0, code: -98, name: EADDRINUSE, message: address already in use": "port 4000 of me@a is taken",
		"DistNetworkError: The client socket has timed out after 60000ms while trying to connect to (a, 4000).":                                                                       "host b does not reach port 4000 of a: DistNetworkError",
		"ValueError: something else\nmore": "torchrun could not start the ranks: ValueError: something else",
	} {
		if err := s.notStarted(reason, 1); !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Apple's GPUs cannot take part, which is told before the rehearsal on the CPUs.
func TestMPS(t *testing.T) {
	var notes []string
	stream := event.NewStream("r", nil)
	stream.Subscribe(func(e event.Event) {
		if n, ok := e.Data.(event.Note); ok {
			notes = append(notes, n.Text)
		}
	})
	s := &session{o: options(func(o *Options) { o.CPU = false }), s: stream, r: &record.Run{}, machines: []machine{{MPS: true, CPUs: 8}}}
	if err := s.settle(); err != nil {
		t.Fatal(err)
	}
	stream.Close()
	if s.device != "cpu" || !s.r.Scaling.Rehearsal || !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "mlx.launch") }) {
		t.Errorf("%s: %v", s.device, notes)
	}
}
