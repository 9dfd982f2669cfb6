package python

import (
	"testing"

	"github.com/gpuplay/gpuplay/internal/worker"
)

// asks is a framework that asks questions and prints answers, by itself and through a
// program that it starts, when it is imported and while it loads a model.
const asks = `
import subprocess

def question():
    try:
        said = "was answered " + repr(input("run the custom code? [y/N] "))
    except EOFError:
        said = "had no answer"
    child = subprocess.run([sys.executable, "-c", "import sys; print(len(sys.stdin.read()), 'bytes', flush=True)"], stdout=subprocess.PIPE)
    print('{"id":1,"result":{}}', flush=True)
    os.write(1, b'{"id":2,"result":{}}\n')
    subprocess.run([sys.executable, "-c", "print('{\"id\":2,\"result\":{}}')"])
    return said + ", and its child " + child.stdout.decode().strip()


def inventory(cpu, threads):
    return {"devices": [{"id": "cpu", "name": question(), "kind": "cpu", "api": "cpu", "library": "Python", "version": "3"}], "missing": []}


def load_tokenizer(folder):
    raise ValueError(question())
`

// A library that asks a person something gets the end of its input at once, and what it
// prints is no answer: stdin and stdout belong to the protocol.
func TestLibrariesDoNotReachTheProtocol(t *testing.T) {
	c := client(t, python3(t), "transformers")
	extend(c, asks)
	link, err := c.Dial(limit(t))
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	const want = "had no answer, and its child 0 bytes"
	if got := link.Inventory().Devices[0].Name; got != want {
		t.Errorf("the question %s", got)
	}
	for range 2 { // the second request is not lost to the first question
		_, _, err = worker.Do(limit(t), link, worker.Load, worker.LoadArgs{Device: "cpu", Model: "m"}, nil, 0)
		if err == nil || err.Error() != "transformers cannot load m: ValueError: "+want {
			t.Errorf("error %v", err)
		}
	}
}
