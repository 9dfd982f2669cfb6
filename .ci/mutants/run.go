// Mutants applies small changes that break a rule of docs/MEASURING.md, one at a time,
// and runs the test that must notice. A change that no test notices shows a rule
// without a test. No file is touched: changes are applied by go test -overlay.
//
//	go run ./.ci/mutants              a random third, the seed is printed
//	go run ./.ci/mutants -seed 7      the third of that seed
//	go run ./.ci/mutants -of 12       a random twelfth
//	go run ./.ci/mutants -all         all of them
//	go run ./.ci/mutants -only torch  those whose file or rule contains the word
//	go run ./.ci/mutants -only 9      those of rule 9
//
// The lists beside this file are read in the order of their names. A mutant that no
// longer applies is an error, since its rule may have lost its test; so is one whose test
// fails without it, which would pass for having noticed.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A mutant is one change and the test that must fail with it.
type mutant struct {
	list, rule, file, test string
	was, becomes           string
}

// atOnce is how many tests run side by side: they wait for processes to start and for the
// compiler for most of their time.
const atOnce = 2

// limit bounds one mutant's test: a change may make a program hang or fill memory.
const limit = 3 * time.Minute

func main() {
	all := flag.Bool("all", false, "apply all mutants")
	only := flag.String("only", "", "apply those whose file or rule contains this, or of the rule of this number")
	seed := flag.Uint64("seed", uint64(time.Now().Unix()), "of the random part")
	of := flag.Int("of", 3, "apply a random 1/n of the mutants")
	flag.Parse()
	if *all {
		*of = 1
	}
	if err := run(max(1, *of), *only, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(of int, only string, seed uint64) error {
	list, err := read(filepath.Join(".ci", "mutants", "*.txt"))
	if err != nil {
		return err
	}
	chosen := list
	switch {
	case only != "":
		chosen = slices.DeleteFunc(list, func(m mutant) bool { return !m.named(only) })
	case of > 1:
		fmt.Printf("1 of %d of %d mutants, seed %d\n", of, len(list), seed)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:(len(chosen)+of-1)/of]
	}
	byTest := map[string][]mutant{}
	for _, m := range chosen {
		byTest[m.test] = append(byTest[m.test], m)
	}
	tests := make(chan string)
	var r report
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for test := range tests {
				base := unchanged(test)
				for _, m := range byTest[test] {
					says, err := "", base
					if base == nil {
						says, err = m.apply()
					}
					r.add(m, says, err)
				}
			}
		})
	}
	for _, test := range slices.Sorted(maps.Keys(byTest)) {
		tests <- test
	}
	close(tests)
	wg.Wait()
	fmt.Printf("%d of %d mutants noticed\n", r.noticed, len(chosen))
	if r.failed > 0 {
		return fmt.Errorf("%d mutants survived or could not be tried", r.failed)
	}
	return nil
}

// A report counts what became of mutants and prints it as it comes.
type report struct {
	mu              sync.Mutex
	noticed, failed int
}

// add notes what a mutant's test said, or why there is nothing to go by.
func (r *report) add(m mutant, says string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.failed++
		fmt.Printf("ERROR    %s: %s: %v\n         %s\n", m.list, m.file, err, oneLine(m.becomes))
	case says == "":
		r.failed++
		fmt.Printf("SURVIVED %s: %s (%s)\n         %s\n      →  %s\n", m.list, m.file, m.rule, oneLine(m.was), oneLine(m.becomes))
	default:
		r.noticed++
		fmt.Printf("noticed  %s: %s\n", m.file, says)
	}
}

// named reports whether a word chooses the mutant: a part of its file or its rule, or the
// number of its rule.
func (m mutant) named(word string) bool {
	if _, err := strconv.Atoi(word); err == nil {
		return strings.HasPrefix(m.rule, word+":")
	}
	return strings.Contains(m.file, word) || strings.Contains(m.rule, word)
}

// unchanged runs a test as it is, which must pass.
func unchanged(test string) error {
	says, err := goTest(test)
	if err == nil && says != "" {
		err = fmt.Errorf("%s fails without a change: %s", test, says)
	}
	return err
}

// apply runs the mutant's test with the change and returns what it said; "" when it
// noticed nothing.
func (m mutant) apply() (says string, err error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if !bytes.Contains(source, []byte(m.was)) {
		return "", errors.New("it no longer applies: the text is not in the file")
	}
	work, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	changed := filepath.Join(work, filepath.Base(m.file))
	path, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(
		os.WriteFile(changed, []byte(strings.Replace(string(source), m.was, m.becomes, 1)), 0o644),
		os.WriteFile(filepath.Join(work, "overlay.json"), overlay, 0o644)); err != nil {
		return "", err
	}
	return goTest(m.test, "-count=1", "-overlay", filepath.Join(work, "overlay.json"))
}

// goTest runs a test with further flags and returns the first thing that it said against
// the code; "" when it passed.
func goTest(test string, flags ...string) (says string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	args := append([]string{"test", "-short", "-failfast", "-timeout", "100s"}, flags...)
	c := exec.CommandContext(ctx, "go", append(args, strings.Fields(test)...)...)
	c.Env = append(os.Environ(), "GOMEMLIMIT=4GiB", "GPUPLAY_REQUIRE=python")
	c.WaitDelay = 5 * time.Second
	out, err := c.CombinedOutput()
	if err == nil {
		return "", nil
	}
	if build.Match(out) {
		return "", fmt.Errorf("it does not compile: %s", oneLine(string(out)))
	}
	if m := first.Find(out); m != nil {
		return strings.TrimSpace(string(m)), nil
	}
	return "it did not end in time", nil
}

var (
	build = regexp.MustCompile(`\[build failed\]|\[setup failed\]`)
	first = regexp.MustCompile(`(?m)^\s*--- FAIL: \S+|^panic: .*|^fatal error: .*`)
)

// oneLine shortens a text to what fits beside its file.
func oneLine(text string) string {
	line := strings.Join(strings.Fields(text), " ")
	if len(line) > 110 {
		line = line[:110] + "…"
	}
	return line
}

// read returns the mutants of all lists. A mutant is
//
//	rule: what it breaks
//	file: internal/bench/runner.go
//	test: ./internal/bench -run TestSkippedProducts
//	<<<<
//	the text that is replaced, where it stands first
//	====
//	what replaces it
//	>>>>
func read(pattern string) ([]mutant, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var list []mutant
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		base := strings.TrimSuffix(filepath.Base(name), ".txt")
		for n, part := range strings.Split(string(text), "\n>>>>\n") {
			head, change, ok := strings.Cut(part, "\n<<<<\n")
			if !ok {
				if strings.TrimSpace(part) != "" {
					return nil, fmt.Errorf("%s: mutant %d has no <<<<", name, n+1)
				}
				continue
			}
			m := mutant{list: base}
			was, becomes, ok := strings.Cut(change, "\n====")
			if !ok {
				return nil, fmt.Errorf("%s: mutant %d has no ====", name, n+1)
			}
			m.was, m.becomes = was, strings.TrimPrefix(becomes, "\n")
			for line := range strings.Lines(head) {
				key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				switch key {
				case "rule":
					m.rule = value
				case "file":
					m.file = value
				case "test":
					m.test = value
				}
			}
			if m.file == "" || m.test == "" || m.was == "" {
				return nil, fmt.Errorf("%s: mutant %d lacks its file, its test or its text", name, n+1)
			}
			list = append(list, m)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no mutants in %s", pattern)
	}
	return list, nil
}
