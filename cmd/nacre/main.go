// Command nacre runs AI agents, and any other program, in sandboxes of their
// own.
package main

import (
	"context"
	"os"

	"nacre/cli"
)

// version is set by the build.
var version = "dev"

func main() {
	program, _ := os.Executable()
	app := &cli.App{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ, Program: program, Version: version}
	os.Exit(cli.Main(context.Background(), app, os.Args[1:]))
}
