// Command nacre-bridge runs inside a tool server's sandbox, where the server speaks
// HTTP: it starts the server, and speaks for it on standard input and output. It is
// not for people.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"nacre/toolserver/bridge"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "nacre-bridge is started by nacre, not by hand; see: nacre run --help")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "nacre-bridge:", err)
		os.Exit(1)
	}
}

// run ends when there is no more to pass on; or the process does, with the server.
func run(url string, command []string) error {
	server := exec.Command(command[0], command[1:]...)
	server.Stdout, server.Stderr = os.Stderr, os.Stderr
	if err := server.Start(); err != nil {
		return err
	}
	go func() {
		fmt.Fprintln(os.Stderr, "nacre-bridge: the server has ended:", server.Wait())
		os.Exit(1)
	}()
	b := &bridge.Bridge{URL: url, Out: os.Stdout}
	return b.Run(context.Background(), os.Stdin)
}
