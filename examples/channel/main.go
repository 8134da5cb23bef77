// Command channel is the adapter of the example.
package main

import (
	"fmt"
	"os"

	"nacre/channel/echo"
)

func main() {
	if err := echo.Run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}
