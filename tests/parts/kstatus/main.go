// Command kstatus gives the verdict of cli-utils' kstatus on Kubernetes objects.
//
// Objects are read from standard input, one a line, as JSON; for each, one line
// comes out: Current, InProgress, Failed, Terminating or NotFound, or `error` where kstatus
// can't say.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	if err := judge(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

// judge reads one object a line: only apimachinery's own decoder makes int64 of whole numbers.
func judge(in io.Reader, out io.Writer) error {
	reader := bufio.NewReader(in)
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal(line, &object.Object); err != nil {
			return err
		}
		verdict := "error"
		if result, err := status.Compute(object); err == nil {
			verdict = result.Status.String()
		}
		if _, err := fmt.Fprintln(out, verdict); err != nil {
			return err
		}
	}
}
