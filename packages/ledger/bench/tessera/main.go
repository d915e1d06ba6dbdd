// Appends to a Tessera log on POSIX files, as bench/run.ts appends to ours, and prints one line of JSON.
//
//	tessera-bench <folder> <seconds> <in flight>
//
// The clock stops when everything is integrated under a published checkpoint, which is when ours acknowledges.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

const (
	entryBytes = 461
	batchSize  = 4096
	batchAge   = 5 * time.Millisecond
	// The least that Tessera allows itself on POSIX files.
	checkpointInterval = 100 * time.Millisecond
)

type result struct {
	Events    int     `json:"events"`
	Seconds   float64 `json:"seconds"`
	CPUMicros float64 `json:"cpuMicros"`
	// From the call to a durable index; integration and checkpoint come later.
	P50Ms float64 `json:"p50Ms"`
	P99Ms float64 `json:"p99Ms"`
}

func main() {
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	must(err)
	inFlight, err := strconv.Atoi(os.Args[3])
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	secret, _, err := note.GenerateKey(rand.Reader, "bench.example/log")
	must(err)
	signer, err := note.NewSigner(secret)
	must(err)
	driver, err := posix.New(ctx, posix.Config{Path: os.Args[1]})
	must(err)
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(batchSize, batchAge).
		WithCheckpointInterval(checkpointInterval).
		WithPushback(uint(4*inFlight+4*batchSize)))
	must(err)

	cpu, start := cpuMicros(), time.Now()
	end := start.Add(time.Duration(seconds * float64(time.Second)))
	var mutex sync.Mutex
	var all []float64
	var workers sync.WaitGroup
	for range inFlight {
		workers.Go(func() {
			var own []float64
			entry := make([]byte, entryBytes)
			for time.Now().Before(end) {
				// A new slice each time: Tessera keeps it.
				data := slices.Clone(entry)
				_, err := rand.Read(data)
				must(err)
				asked := time.Now()
				_, err = appender.Add(ctx, tessera.NewEntry(data))()
				must(err)
				own = append(own, float64(time.Since(asked).Microseconds())/1000)
			}
			mutex.Lock()
			all = append(all, own...)
			mutex.Unlock()
		})
	}
	workers.Wait()
	must(shutdown(ctx))
	took := time.Since(start).Seconds()
	slices.Sort(all)
	at := func(share float64) float64 { return all[int(float64(len(all)-1)*share)] }
	must(json.NewEncoder(os.Stdout).Encode(result{
		Events: len(all), Seconds: took, CPUMicros: cpuMicros() - cpu, P50Ms: at(0.5), P99Ms: at(0.99),
	}))
}

func cpuMicros() float64 {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Sec+usage.Stime.Sec)*1e6 + float64(usage.Utime.Usec+usage.Stime.Usec)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
