// Command nacre-attack-judge attacks a sandbox of any kind from outside and
// prints its scoreboard. It is package attack with a command line, for
// measuring other sandboxes without Nacre.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"nacre/attack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := attack.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
