// Limit does what airbundle has to do with a file's bytes, and no more: read, hash, and write once.
//
//	limit THREADS [OUT] < plan.json
//
// The plan is a list of {path, offset, size, hashes, place}: runs of bytes, each read from its
// offset in pieces of 1 MiB, given to so many sha256, and, where there is an OUT, written to its
// place in that one file, which reaches the disk before the program ends. Standard output gets
// {bytes, seconds}: how much was read, and how long it took, without the start of the process.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"strconv"
	"sync"
	"time"
)

const buffer = 1 << 20

type run struct {
	Path   string
	Offset int64
	Size   int64
	Hashes int
	Place  int64
}

func main() {
	if err := limit(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "limit:", err)
		os.Exit(1)
	}
}

func limit(arguments []string) error {
	if len(arguments) < 1 || len(arguments) > 2 {
		return fmt.Errorf("expected THREADS [OUT], found %q", arguments)
	}
	threads, err := strconv.Atoi(arguments[0])
	if err != nil {
		return err
	}
	var plan []run
	if err := json.NewDecoder(os.Stdin).Decode(&plan); err != nil {
		return err
	}
	began := time.Now()
	var out *os.File
	if len(arguments) == 2 {
		if out, err = os.Create(arguments[1]); err != nil {
			return err
		}
		defer out.Close()
	}
	if err := all(plan, threads, out); err != nil {
		return err
	}
	if out != nil {
		if err := out.Sync(); err != nil {
			return err
		}
	}
	var total int64
	for _, each := range plan {
		total += each.Size
	}
	result := map[string]any{"bytes": total, "seconds": time.Since(began).Seconds()}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// all does the runs in the order of the plan, so many at a time; the first error, if there is one.
func all(plan []run, threads int, out *os.File) error {
	waiting := make(chan run, len(plan))
	for _, each := range plan {
		waiting <- each
	}
	close(waiting)
	errors := make(chan error, threads)
	var group sync.WaitGroup
	for range make([]struct{}, threads) {
		group.Add(1)
		go func() {
			defer group.Done()
			piece := make([]byte, buffer)
			for each := range waiting {
				if err := one(each, piece, out); err != nil {
					errors <- err
					return
				}
			}
		}()
	}
	group.Wait()
	close(errors)
	return <-errors
}

func one(work run, piece []byte, out *os.File) error {
	in, err := os.Open(work.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	states := make([]hash.Hash, work.Hashes)
	for n := range states {
		states[n] = sha256.New()
	}
	for done := int64(0); done < work.Size; {
		count, err := in.ReadAt(piece[:min(buffer, work.Size-done)], work.Offset+done)
		if err != nil && err != io.EOF {
			return err
		}
		if count == 0 {
			return fmt.Errorf("%s: ended %d bytes too early", work.Path, work.Size-done)
		}
		for _, state := range states {
			state.Write(piece[:count])
		}
		if out != nil {
			if _, err := out.WriteAt(piece[:count], work.Place+done); err != nil {
				return err
			}
		}
		done += int64(count)
	}
	for _, state := range states {
		state.Sum(nil)
	}
	return nil
}
