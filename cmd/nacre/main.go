// Command nacre runs AI agents, and any other program, in sandboxes of their
// own.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"nacre/cli"
)

// version is set by the build.
var version = "dev"

func main() {
	// Most of its runs end before there is anything to collect: at the usual
	// setting the collector would start at 4 MiB, in the middle of a launch.
	debug.SetGCPercent(800)
	program, _ := os.Executable()
	app := &cli.App{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ, Program: program, Version: version}
	os.Exit(cli.Main(context.Background(), app, os.Args[1:]))
}
