// Screenshot runs a command in a terminal of its own and draws its final output as SVG, in
// colour. .ci/pictures has the commands of all pictures.
//
//	go run ./scripts/screenshot -o docs/race.svg gpuplay race
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/creack/pty"

	"github.com/gpuplay/gpuplay/internal/screen"
)

func main() {
	out := flag.String("o", "", "SVG `file` to write (default: stdout)")
	columns := flag.Int("columns", 80, "of the terminal")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: screenshot [-o FILE] [-columns N] COMMAND …")
		os.Exit(2)
	}
	if err := run(*out, *columns, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "screenshot:", err)
		os.Exit(1)
	}
}

func run(out string, columns int, command []string) error {
	const rows = 200 // so that nothing scrolls off
	s := screen.New(columns, rows)
	line := strings.Join(command, " ")
	fmt.Fprintf(s, "\x1b[2m$\x1b[m %s\n\n", line)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(cmd.Environ(), "TERM=xterm-256color", "LC_ALL=C.UTF-8", "NO_COLOR=")
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(columns), Rows: rows})
	if err != nil {
		return err
	}
	defer terminal.Close()
	if _, err := io.Copy(s, terminal); err != nil && !errors.Is(err, syscall.EIO) { // which is how its end reads on Linux
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", line, err, s.Text())
	}
	file := os.Stdout
	if out != "" {
		if file, err = os.Create(out); err != nil {
			return err
		}
		defer file.Close()
	}
	return s.SVG(file, "What "+line+" shows in a terminal")
}
