// OPA on one workload, inside one process: commands are JSON lines on stdin, answers JSON lines on stdout. The
// protocol is described in engines/program.ts, the workload's file in translations/rego.ts.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/util"
)

const (
	batchDecisions = 1_000
	batchDuration  = 500 * time.Microsecond
	singlesMax     = 20_000
	slowTurn       = 50 * time.Millisecond
)

type command struct {
	Op      string  `json:"op"`
	Path    string  `json:"path"`
	Mode    string  `json:"mode"`
	Seconds float64 `json:"seconds"`
}

type workload struct {
	Package string  `json:"package"`
	Rego    string  `json:"rego"`
	Worlds  []world `json:"worlds"`
}

type world struct {
	World     map[string]any    `json:"world"`
	Questions []json.RawMessage `json:"questions"`
}

// A question twice: without and with the entities it needs (in `world`), each as JSON values.
type question struct {
	resident   rego.PreparedEvalQuery
	standalone rego.PreparedEvalQuery
	input      map[string]any
	full       map[string]any
	parsed     ast.Value
	text       []byte
}

func main() {
	var questions []question
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var asked command
		must(json.Unmarshal(lines.Bytes(), &asked))
		var answer any
		switch asked.Op {
		case "load":
			start := time.Now()
			questions = load(asked.Path)
			answer = map[string]any{"loadMs": float64(time.Since(start).Microseconds()) / 1e3}
		case "answers":
			answer = map[string]any{"answers": answers(questions)}
		case "measure":
			decide, err := decider(asked.Mode)
			if err != nil {
				answer = map[string]any{"error": err.Error()}
				break
			}
			answer = sample(questions, decide, time.Duration(asked.Seconds*float64(time.Second)))
		default:
			answer = map[string]any{"error": fmt.Sprintf("could not obey: found %q", asked.Op)}
		}
		line, err := json.Marshal(answer)
		must(err)
		fmt.Println(string(line))
	}
}

func load(path string) []question {
	text, err := os.ReadFile(path)
	must(err)
	var loaded workload
	must(util.Unmarshal(text, &loaded))
	// The same rules, reading the entities that come with the input.
	standalone := prepare(loaded.Package, strings.Replace(loaded.Rego, "import data.world", "import input.world", 1))
	var questions []question
	for _, world := range loaded.Worlds {
		// Kept as OPA's own values: reading them then costs no conversion.
		store := inmem.NewFromObjectWithOpts(
			map[string]any{"world": world.World},
			inmem.OptReturnASTValuesOnRead(true),
		)
		resident := prepare(loaded.Package, loaded.Rego, rego.Store(store))
		for _, raw := range world.Questions {
			var full map[string]any
			must(util.Unmarshal(raw, &full))
			input := map[string]any{}
			for name, value := range full {
				if name != "world" {
					input[name] = value
				}
			}
			parsed, err := ast.InterfaceToValue(input)
			must(err)
			questions = append(questions, question{resident, standalone, input, full, parsed, raw})
		}
	}
	return questions
}

func prepare(name, module string, options ...func(*rego.Rego)) rego.PreparedEvalQuery {
	all := append(options, rego.Query("data."+name+".allow"), rego.Module(name+".rego", module))
	query, err := rego.New(all...).PrepareForEval(context.Background())
	must(err)
	return query
}

func decider(mode string) (func(*question) bool, error) {
	switch mode {
	case "parsed":
		return func(q *question) bool { return eval(&q.resident, rego.EvalParsedInput(q.parsed)) }, nil
	case "context":
		return func(q *question) bool { return eval(&q.resident, rego.EvalInput(q.input)) }, nil
	case "objects":
		return func(q *question) bool { return eval(&q.standalone, rego.EvalInput(q.full)) }, nil
	case "text":
		return func(q *question) bool {
			var input any
			must(util.UnmarshalJSON(q.text, &input))
			return eval(&q.standalone, rego.EvalInput(input))
		}, nil
	default:
		return nil, fmt.Errorf("could not measure: found mode %q", mode)
	}
}

func eval(query *rego.PreparedEvalQuery, option rego.EvalOption) bool {
	results, err := query.Eval(context.Background(), option)
	must(err)
	return results.Allowed()
}

type answer struct {
	Decision string `json:"decision"`
}

func answers(questions []question) []answer {
	decided := make([]answer, 0, len(questions))
	for index := range questions {
		decision := "deny"
		if eval(&questions[index].resident, rego.EvalParsedInput(questions[index].parsed)) {
			decision = "allow"
		}
		decided = append(decided, answer{decision})
	}
	return decided
}

var kept bool

func sample(questions []question, decide func(*question) bool, duration time.Duration) map[string]any {
	turn := func() {
		for index := range questions {
			kept = decide(&questions[index]) != kept
		}
	}
	start := time.Now()
	turn()
	isSlow := time.Since(start) > slowTurn

	var batchNs, singleNs []float64
	overhead := clockOverheadNs()
	singleTurn := func() float64 {
		sum := 0.0
		for index := range questions {
			start := time.Now()
			decision := decide(&questions[index])
			elapsed := max(0, float64(time.Since(start).Nanoseconds())-overhead)
			kept = decision != kept
			singleNs = append(singleNs, elapsed)
			sum += elapsed
		}
		return sum / float64(len(questions))
	}
	began := time.Now()
	if isSlow {
		// Beside such decisions reading the clock is nothing: each turn is a batch of singles.
		for len(batchNs) == 0 || time.Since(began) < duration {
			batchNs = append(batchNs, singleTurn())
		}
		return map[string]any{"batchNs": batchNs, "singleNs": singleNs}
	}

	turn()
	most := (batchDecisions + len(questions) - 1) / len(questions)
	// Whole turns, so that all batches hold the same questions.
	turns := min(max(int(batchDuration/time.Since(began)), 1), most)
	for len(batchNs) == 0 || time.Since(began) < duration*6/10 {
		start := time.Now()
		for done := 0; done < turns; done++ {
			turn()
		}
		batchNs = append(batchNs, float64(time.Since(start).Nanoseconds())/float64(turns*len(questions)))
	}
	for len(singleNs) == 0 || (len(singleNs) < singlesMax && time.Since(began) < duration) {
		singleTurn()
	}
	return map[string]any{"batchNs": batchNs, "singleNs": singleNs}
}

// The median of what two readings of the clock are apart when nothing is between them.
func clockOverheadNs() float64 {
	apart := make([]float64, 1_001)
	for index := range apart {
		start := time.Now()
		apart[index] = float64(time.Since(start).Nanoseconds())
	}
	sort.Float64s(apart)
	return apart[len(apart)/2]
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
