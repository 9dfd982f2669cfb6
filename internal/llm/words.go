package llm

import (
	"math/rand/v2"
	"strings"
)

// common are words that most vocabularies have as one token each.
var common = strings.Fields("the of and to in is that it for was on are as with his they at be this from have or by one had not but what all were when we there can an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now people my made over did down only way find use may water long little very after words called just where most know")

// Words returns a text of about n tokens, another one each time, for runtimes that take
// only text.
func Words(random *rand.Rand, n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = common[random.IntN(len(common))]
	}
	return strings.Join(words, " ")
}
