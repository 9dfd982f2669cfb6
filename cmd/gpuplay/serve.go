package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/lab/diagnose"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/probe"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/store"
	"github.com/gpuplay/gpuplay/internal/web"
)

// serveFlags are those of the server of the page.
type serveFlags struct {
	listen  string
	port    int
	token   string
	open    bool
	noStore bool
	dirs    []string
}

// loopback is the address of the page unless another one is asked for.
const loopback = "127.0.0.1"

// leastToken is the least length of a token that the user chooses.
const leastToken = 16

func newServe(a *app) *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Open the playground in the browser",
		Long: `serve shows the playground as a page in the browser: the race with every product as it
completes, a loss surface on which optimizers compete, a network that learns, and why and
from which size on the GPU wins. The page measures the same as the commands do.

The server listens only on 127.0.0.1, and the page opens only with the token in the printed
address. Whoever has the token can start measurements on this machine and read the stored
runs. Ctrl-C ends the server and keeps what was measured.`,
		Example: `  gpuplay serve --open
  gpuplay --web
  gpuplay serve --listen 192.168.1.20 --token "$(openssl rand -hex 16)"`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.serve(c.Context(), f) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.listen, "listen", loopback, "address to listen on; any but a loopback address needs --token")
	fl.IntVar(&f.port, "port", 0, "port to listen on (default: a free one)")
	fl.StringVar(&f.token, "token", "", fmt.Sprintf("the token that opens the page, at least %d characters (default: a random one)", leastToken))
	fl.BoolVar(&f.open, "open", false, "open the page in the browser")
	fl.StringArrayVar(&f.dirs, "model-dir", nil, "another `folder` with language models; may be repeated")
	fl.BoolVar(&f.noStore, "no-store", false, "do not keep the runs")
	return c
}

// check settles the token and refuses what would open the machine to others by mistake.
func (f *serveFlags) check() error {
	ip := net.ParseIP(f.listen)
	switch {
	case ip == nil && f.listen != "localhost":
		return usagef("for example --listen 127.0.0.1", "--listen %s: an IP address of this machine is needed", f.listen)
	case f.port < 0 || f.port > 65535:
		return usagef("leave it out for a free one", "--port %d: a port is 1 to 65535", f.port)
	case f.token != "" && len(f.token) < leastToken:
		return usagef("leave it out for a random one", "--token: %d characters, and at least %d are needed", len(f.token), leastToken)
	case f.token == "" && ip != nil && !ip.IsLoopback():
		return usagef("choose one with --token, at least 16 characters that nobody can guess", "--listen %s: whoever reaches this address could have this machine measured and read its runs", f.listen)
	}
	if f.token == "" {
		f.token = web.NewToken()
	}
	return nil
}

// hosts returns what a browser may send as the name of the server.
func (f *serveFlags) hosts(port string) []string {
	names := []string{"127.0.0.1", "localhost", "::1"}
	if ip := net.ParseIP(f.listen); ip != nil && ip.IsUnspecified() {
		addresses, _ := net.InterfaceAddrs() // without them, those above are left
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
				names = append(names, n.IP.String())
			}
		}
	} else if ip != nil {
		names = append(names, ip.String())
	}
	var list []string
	for _, n := range names {
		if host := net.JoinHostPort(n, port); !slices.Contains(list, host) {
			list = append(list, host)
		}
	}
	return list
}

func (a *app) serve(ctx context.Context, f serveFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(f.listen, strconv.Itoa(f.port)))
	if err != nil {
		return fault.Errorf(fault.Unavailable, "%s port %d: %v", f.listen, f.port, cause(err)).With(fault.Change("port", "leave {} out for a free one"))
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	s := web.New(ctx, a.page(f, f.hosts(port)))
	server := s.HTTP()
	stopped := context.AfterFunc(ctx, func() {
		s.Wait()
		server.Close() //nolint:errcheck // the streams of events have no end of their own
	})
	defer stopped()
	host := f.listen
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	address := "http://" + net.JoinHostPort(host, port) + "/#token=" + f.token
	say(a.stdout, "%s\n", plain.Line(address))
	if ip := net.ParseIP(f.listen); ip != nil && !ip.IsLoopback() {
		say(a.stderr, "Whoever reaches %s and has the token can have this machine measured and read the runs that are kept. The connection is not encrypted.\n", net.JoinHostPort(f.listen, port))
	}
	if f.open {
		if err := openBrowser(address); err != nil {
			say(a.stderr, "The browser could not be started (%v): open the address above.\n", err)
		}
	}
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return &reportedError{exitInterrupted}
}

// page returns the options of the server: what the page calls is what the commands call.
func (a *app) page(f serveFlags, hosts []string) web.Options {
	deps := a.deps(f.dirs...)
	deps.Command = nil // the command line of this process is not one that measures a run again
	o := web.Options{
		Hosts: hosts, Token: f.token, Words: commandLine{}, Repeating: repeating,
		Activities: []web.Activity{web.Race(deps), web.Touch(deps), web.Train(deps), web.Text(deps), web.Sweep(deps), web.CPU(deps), web.Talk(deps)},
		Measure: func(ctx context.Context, measure web.Measurement, watch func(event.Event)) (*record.Run, string, error) {
			r, err := a.measure(ctx, outputFlags{quiet: true, keep: true, noStore: f.noStore}, measurement(measure), watch)
			return r, a.kept.entry.Name, errors.Join(err, a.kept.err)
		},
		Doctor: func(ctx context.Context) (*record.Run, error) {
			d := deps
			d.Sources = nil
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			return diagnose.Run(ctx, d, diagnose.Options{Variables: a.env.doctor, Probe: probe.Ask, Timeout: promptly}, event.NewStream(record.NewID(), nil))
		},
	}
	if a.env.data != "" && !f.noStore {
		o.Store = func() (*store.Store, error) { return store.Open(a.env.data) }
	}
	return o
}

// openBrowser opens an address in the user's browser. Command lines can be read by every
// user of a machine, so that the token must not be in one: the browser gets a file that
// only this user can read, and which leads there.
func openBrowser(address string) error {
	dir, err := os.MkdirTemp("", "gpuplay-")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "open.html")
	text := `<!doctype html><meta http-equiv="refresh" content="0;url=` + html.EscapeString(address) + `"><title>gpuplay</title>`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	time.AfterFunc(time.Minute, func() { os.RemoveAll(dir) }) //nolint:errcheck // the system clears its temporary files
	var c *exec.Cmd
	switch runtime.GOOS {
	case "windows":
		c = exec.Command("rundll32", "url.dll,FileProtocolHandler", file)
	case "darwin":
		c = exec.Command("open", file)
	default:
		c = exec.Command("xdg-open", file)
	}
	if err := c.Start(); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "exec: "))
	}
	go c.Wait() //nolint:errcheck // what becomes of the browser is its own affair
	return nil
}
