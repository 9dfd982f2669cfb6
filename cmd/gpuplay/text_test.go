package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/gpuplay/gpuplay/internal/card"
	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/term"
	"github.com/gpuplay/gpuplay/internal/train"
	"github.com/gpuplay/gpuplay/internal/verdict"
)

// commanding returns what in an output commands a terminal; empty if nothing does.
func commanding(out string) string {
	for i, r := range out {
		switch {
		case r == '\n', r == '\t', r == 0x200c, r == 0x200d:
		case r == utf8.RuneError && out[i] != 0xef: // a byte that is no UTF-8 is a C1 control to some
			return fmt.Sprintf("%#x at %d", out[i], i)
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			return fmt.Sprintf("%U at %d", r, i)
		}
	}
	return ""
}

// FuzzText puts a text wherever text comes from elsewhere, into every field of every kind
// of record, into events, errors and remedies, and writes all that there is to write.
func FuzzText(f *testing.F) {
	for i, text := range []string{"\x1b[2J", "\x1b]0;title\a", "\r\b\x7f", "\u0085\u009b31m", "\x9b31m", "\u202e\u2066\u200f", "\u2028\ufeff\U000e0041", "a|b`<b>,\"'$(id)\n", "\xff\xed\xa0\x80"} {
		f.Add(text, uint64(i))
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		a, stdout, stderr := output()
		a.env.unicode = seed%2 == 0
		check := func(what string) {
			t.Helper()
			for _, b := range []*bytes.Buffer{stdout, stderr} {
				if found := commanding(b.String()); found != "" {
					t.Fatalf("%s has %s of %q: %q", what, found, text, b)
				}
				b.Reset()
			}
		}
		for _, kind := range recordtest.Kinds {
			r := recordtest.Random(kind, seed)
			recordtest.Poison(r, text)
			for _, format := range append(encode.Formats(kind), "table") {
				if err := a.write(a.stdout, r, outputFlags{people: "table"}, format); err != nil {
					t.Fatal(err)
				}
				check(string(kind) + " as " + format)
			}
			if err := record.Write(a.stdout, r); err != nil {
				t.Fatal(err)
			}
			check(string(kind) + " as it is kept")
			if d, ok := card.New(r, card.Themes[0], repeating(r)); ok {
				if err := d.SVG(a.stdout); err != nil {
					t.Fatal(err)
				}
			}
			check(string(kind) + " as a card")
			if err := term.Diagnosis(a.stdout, r, a.env.style(a.stdout), true); err != nil {
				t.Fatal(err)
			}
			check(string(kind) + " as a diagnosis")
		}

		for name, pair := range recordtest.Pairs() {
			for _, r := range pair {
				recordtest.Poison(r, text)
			}
			pair[1].Machine.CPU += text // which is a change then
			v, err := judge.NewVersus(pair[0], pair[1], verdict.Threshold)
			if err != nil { // the text may be in what has to be the same
				complain(a.stderr, err)
				check("why " + name + " is not compared")
				continue
			}
			v.Names = [2]string{text, text}
			if err := errors.Join(term.Versus(a.stdout, v, a.env.style(a.stdout)), encode.VersusJSON(a.stdout, v), encode.VersusMarkdown(a.stdout, v)); err != nil {
				t.Fatal(err)
			}
			check(name + " compared")
		}

		fill := recordtest.NewFiller(seed)
		var e record.Explanation
		fill.Fill(&e)
		recordtest.Poison(&e, text)
		if err := term.Explain(a.stdout, &e, a.env.style(a.stdout)); err != nil {
			t.Fatal(err)
		}
		if err := encode.Indented(a.stdout, &e); err != nil {
			t.Fatal(err)
		}
		check("an explanation")

		for _, kind := range recordtest.Kinds {
			s := event.NewStream("r1", nil)
			p := term.NewProgress(a.stderr, false, false, a.env.style(a.stderr))
			s.Subscribe(p.Observe)
			each, _ := encode.Events(a.stdout)
			s.Subscribe(each)
			s.Emit("", event.Begin{Kind: string(kind), Command: []string{text}})
			s.Emit(text, event.Lane{Name: text, Engine: text, Op: text})
			s.Emit(text, event.Phase{Phase: text})
			s.Emit("", event.Note{Text: text})
			loaded, planned := llm.Loaded{}, train.Planned{}
			fill.Fill(&loaded)
			fill.Fill(&planned)
			recordtest.Poison(&loaded, text)
			s.Emit(text, loaded)
			s.Emit(text, planned)
			s.Emit(text, llm.Asked{Prompt: text})
			s.Emit(text, llm.Piece{Text: text})
			r := recordtest.Random(kind, seed)
			recordtest.Poison(r, text)
			for _, x := range r.Results {
				s.Emit(x.Lane, x)
			}
			s.Emit("", r)
			s.Close()
			p.Close()
			check("events of " + string(kind))
		}

		err := fault.Errorf(fault.Internal, "%s", text).With(fault.Set("size", text, text), fault.Run(text, "gpuplay", text), fault.Remedy{Text: text})
		complain(a.stderr, err)
		complain(a.stderr, usagef(text, "%s", text))
		check("an error")
	})
}

// Text for people goes through say, which makes it harmless: nothing else in this package
// prints but into a buffer.
func TestPrintingIsSaying(t *testing.T) {
	files := gotoken.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no sources, %v", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool { return said(t, files, n) })
	}
}

// said reports an error for a call that prints to a stream.
func said(t *testing.T, files *gotoken.FileSet, n ast.Node) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return true
	}
	called, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return true
	}
	from, ok := called.X.(*ast.Ident)
	if !ok || from.Name != "fmt" || !strings.Contains(called.Sel.Name, "rint") || strings.HasPrefix(called.Sel.Name, "S") {
		return true
	}
	into := call.Args[0]
	if u, ok := into.(*ast.UnaryExpr); ok {
		into = u.X
	}
	if to, ok := into.(*ast.Ident); !ok || to.Name != "b" {
		t.Errorf("%s: fmt.%s in place of say", files.Position(call.Pos()), called.Sel.Name)
	}
	return true
}
