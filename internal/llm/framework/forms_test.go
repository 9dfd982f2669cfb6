package framework_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/llm/framework/frameworktest"
	"github.com/gpuplay/gpuplay/internal/train"
)

// learn trains for some iterations and returns their losses.
func learn(t *testing.T, m *framework.Model, s train.Settings, iters int) (losses []float64) {
	t.Helper()
	if _, err := m.Tune(frameworktest.Limit(t), s); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Train(frameworktest.Limit(t), iters, time.Minute, func(s train.Step) {
		if s.Loss != nil {
			losses = append(losses, *s.Loss)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(losses) != iters || losses[iters-1] > losses[0]-1 {
		t.Errorf("losses %.2f", losses)
	}
	return losses
}

// A model that is cut to 4 bits is trained with an adapter, which says the same again
// with the same bits; PyTorch refuses it.
func TestTrainQuantized(t *testing.T) {
	each(t, func(t *testing.T, r *framework.Runtime, folder string) {
		quantized := func(adapter string) (*framework.Model, error) {
			return r.Open(frameworktest.Limit(t), folder, framework.Options{Device: "cpu", Bits: 4, Adapter: adapter})
		}
		m, err := quantized("")
		if r.Runtime != framework.MLX {
			var e *fault.Error
			if !errors.As(err, &e) || e.Code != fault.Unsupported || !strings.HasPrefix(e.Message, "PyTorch has no QLoRA") || len(e.Remedies) == 0 {
				t.Errorf("error %#v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		whole := open(t, r, folder, "")
		if m.About().DType != "4 bit" || m.About().Parameters != whole.About().Parameters || m.About().Bytes > whole.About().Bytes/4 {
			t.Errorf("about %+v, whole %+v", m.About(), whole.About())
		}
		s := settings(t)
		s.Layers = 2
		learn(t, m, s, 12)
		after, err := m.Generate(frameworktest.Limit(t), request, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := quantized(s.Adapter)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if said, err := again.Generate(frameworktest.Limit(t), request, nil); err != nil || said.Text != after.Text {
			t.Errorf("the saved adapter says %q, the trained model %q, %v", said.Text, after.Text, err)
		}
	})
}

// Rows of every form go through the model's chat template, and the same words in two
// forms are the same row. A field that is null does not count.
func TestTrainChat(t *testing.T) {
	const written = "user: What is a matrix?\nassistant: Numbers in rows.\n" // by the tiny model's template, one byte per token
	for _, name := range frameworktest.Runtimes {
		t.Run(name, func(t *testing.T) {
			r, folder := frameworktest.Real(t, name), frameworktest.TinyModel(t, name, "--chat")
			var first []float64
			for form, row := range map[string]string{
				"messages":   `{"text": null, "messages": [{"role": "user", "content": "What is a matrix?"}, {"role": "assistant", "content": "Numbers in rows."}]}`,
				"completion": `{"messages": null, "prompt": "What is a matrix?", "completion": "Numbers in rows.", "text": "What else?"}`,
			} {
				m := open(t, r, folder, "")
				if !m.About().Chat {
					t.Fatalf("about %+v", m.About())
				}
				s := settings(t)
				s.Train, s.Valid = filepath.Join(t.TempDir(), "train.jsonl"), ""
				if err := os.WriteFile(s.Train, []byte(strings.Repeat(row+"\n", 2)), 0o644); err != nil {
					t.Fatal(err)
				}
				tuning, err := open(t, r, folder, "").Tune(frameworktest.Limit(t), s)
				if err != nil || tuning.Rows != 2 || tuning.Longest != len(written) {
					t.Errorf("%s: %+v, %v, want rows of %d tokens", form, tuning, err, len(written))
				}
				losses := learn(t, m, s, 10)
				if first == nil {
					first = losses
				}
				if losses[0] != first[0] {
					t.Errorf("%s: losses %.3f, of the other form %.3f", form, losses, first)
				}
			}
		})
	}
}
