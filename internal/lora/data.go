// Package lora is what fine-tuning with low-rank adapters (arXiv 2106.09685) reads and
// writes: it checks the rows to learn before anything is started, and keeps beside an
// adapter what is needed to continue it. Package train runs a training; the training
// itself is the framework's, in package llm/framework.
package lora

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/train"
	"github.com/gpuplay/gpuplay/internal/unit"
)

//go:embed builtin/*.jsonl
var builtin embed.FS

// maxRow bounds a line: a row of more text than any context takes.
const maxRow = 1 << 20

// Rows are checked rows in files.
type Rows struct {
	train.Data
	Train string // the file of rows to learn
	Valid string // the file of rows to measure with, which are not trained on; "" when there is none
}

// BuiltIn writes the rows that are built in into a folder: questions about
// the playground with answers that begin and end alike.
func BuiltIn(folder string) (Rows, error) {
	for _, name := range []string{"train.jsonl", "valid.jsonl"} {
		text, err := builtin.ReadFile("builtin/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), text, 0o644)
		}
		if err != nil {
			return Rows{}, err
		}
	}
	d, err := Read(folder, false)
	d.Folder = ""
	d.Prompt = "Question: What is gpuplay?\nAnswer:"
	return d, err
}

// Read checks train.jsonl in a folder, and valid.jsonl if it is there. chat says
// whether the model has a chat template, which all forms but text need. Its errors
// name the file and the line.
func Read(folder string, chat bool) (Rows, error) {
	d := Rows{Data: train.Data{Folder: folder}, Train: filepath.Join(folder, "train.jsonl"), Valid: filepath.Join(folder, "valid.jsonl")}
	var err error
	if d.Data.Rows, d.Form, d.Prompt, err = check(d.Train); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return d, invalid(fault.Advice("it is a file of lines such as "+example), "%s: there is no train.jsonl", folder)
		}
		return d, err
	}
	var form train.Form
	d.Held, form, _, err = check(d.Valid)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.Valid = ""
	case err != nil:
		return d, err
	case form != d.Form:
		return d, invalid(fault.Advice("rows of one form in both"), "%s has %s rows, train.jsonl has %s rows", d.Valid, form, d.Form)
	}
	if d.Form != train.Text && !chat {
		return d, invalid(fault.Advice(`a model that was made for chat, or rows of {"text": …}`), "%s has %s rows, and this model has no chat template to write them with", d.Train, d.Form)
	}
	return d, nil
}

const example = `{"text": "…"}, {"prompt": "…", "completion": "…"} or {"messages": [{"role": "user", "content": "…"}, …]}`

func invalid(r fault.Remedies, format string, args ...any) error {
	return fault.Errorf(fault.Invalid, format, args...).With(r...)
}

// check reads a file of rows and returns their number, their form, and what the
// first one begins with.
func check(file string) (rows int, form train.Form, prompt string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, "", "", err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	for n := 1; ; n++ {
		line, err := readLine(in)
		if err != nil && err != io.EOF {
			return 0, "", "", invalid(fault.Advice("split it into rows of what the model takes at a time"), "%s:%d: %v", file, n, err)
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			r, wrong := parseRow(line)
			if wrong != nil {
				return 0, "", "", invalid(fault.Advice("a line is "+example), "%s:%d: %v", file, n, wrong)
			}
			if rows == 0 {
				form, prompt = r.form(), r.prompt()
			} else if r.form() != form {
				return 0, "", "", invalid(fault.Advice("rows of one form in a file"), "%s:%d: a %s row among %s rows", file, n, r.form(), form)
			}
			rows++
		}
		if err == io.EOF {
			break
		}
	}
	if rows == 0 {
		return 0, "", "", invalid(fault.Advice("a line is "+example), "%s: is empty", file)
	}
	return rows, form, prompt, nil
}

// readLine returns a line of at most maxRow bytes.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxRow {
			return nil, fmt.Errorf("the row is longer than %s", unit.Bytes(maxRow))
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// A row is one line of a file. What it does not have is nil.
type row struct {
	Text       *string   `json:"text"`
	Prompt     *string   `json:"prompt"`
	Completion *string   `json:"completion"`
	Messages   []message `json:"messages"`
}

type message struct {
	Role    *string         `json:"role"`
	Content json.RawMessage `json:"content"`
	Calls   json.RawMessage `json:"tool_calls"`
}

// parseRow returns the row in a line, or says what is wrong with it.
func parseRow(line []byte) (r row, err error) {
	if !utf8.Valid(line) {
		return r, errors.New("is not UTF-8")
	}
	if err := json.Unmarshal(line, &r); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &kind) && kind.Field == "":
			return r, fmt.Errorf("is a JSON %s, not an object", kind.Value)
		case errors.As(err, &kind):
			return r, fmt.Errorf("%q is a JSON %s", kind.Field, kind.Value)
		case errors.As(err, &syntax) && syntax.Offset >= int64(len(line)):
			return r, errors.New("is cut off: no JSON object")
		case errors.As(err, &syntax):
			return r, fmt.Errorf("is no JSON at column %d: %v", syntax.Offset, err)
		}
		return r, err
	}
	switch r.form() {
	case train.Completion:
		if *r.Prompt == "" || *r.Completion == "" {
			return r, errors.New(`"prompt" or "completion" is empty`)
		}
	case train.Chat:
		for i, m := range r.Messages {
			switch {
			case m.Role == nil || *m.Role == "":
				return r, fmt.Errorf(`message %d has no "role"`, i+1)
			case len(m.Content) == 0 && len(m.Calls) == 0:
				return r, fmt.Errorf(`message %d has no "content"`, i+1)
			}
		}
	case train.Text:
		if *r.Text == "" {
			return r, errors.New(`"text" is empty`)
		}
	default:
		var fields map[string]json.RawMessage
		json.Unmarshal(line, &fields)
		if r.Prompt != nil || r.Completion != nil {
			return r, errors.New(`"prompt" and "completion" belong together, one is missing`)
		}
		if _, ok := fields["messages"]; ok {
			return r, errors.New(`"messages" is empty`)
		}
		return r, errors.New(`has no "text", no "prompt" with "completion", no "messages"`)
	}
	return r, nil
}

// form returns which form a row has, "" for none, in mlx-lm's order.
func (r row) form() train.Form {
	switch {
	case r.Prompt != nil && r.Completion != nil:
		return train.Completion
	case len(r.Messages) > 0:
		return train.Chat
	case r.Text != nil:
		return train.Text
	}
	return ""
}

// prompt returns what to ask before and after the row was learned: its question, or
// the first half of its words.
func (r row) prompt() string {
	switch r.form() {
	case train.Completion:
		return *r.Prompt
	case train.Chat:
		for _, m := range r.Messages {
			var content string
			if *m.Role == "user" && json.Unmarshal(m.Content, &content) == nil {
				return content
			}
		}
		return ""
	}
	words := strings.Fields(*r.Text)
	if len(words) < 2 {
		return *r.Text
	}
	cut := 0 // the end of the first half, in the text as it is spaced
	for _, w := range words[:(len(words)+1)/2] {
		cut += strings.Index((*r.Text)[cut:], w) + len(w)
	}
	return (*r.Text)[:cut]
}
