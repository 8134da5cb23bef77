// Command nacre-harness works inside sandboxes for nacre run --with: it fetches
// what a harness is installed from, runs packages' scripts, or makes an agent's home
// ready and starts the agent. It is confined like everything else in there and trusted with nothing.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"nacre/fault"
	"nacre/harness/home"
	"nacre/harness/npm"
	"nacre/harness/script"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		hint := cmp.Or(fault.HintOf(err), "outside, nacre audit show says what was refused")
		fmt.Fprintf(os.Stderr, "nacre-harness: %v\nhint: %s\n", err, hint)
		code = 1
	}
	os.Exit(code)
}

func run(args []string) (int, error) {
	switch {
	case len(args) == 4 && args[0] == "fetch":
		return 0, fetch(args[1], args[2], args[3])
	case len(args) >= 3 && args[0] == "scripts":
		t := script.Task{Layer: args[1], Place: args[2], Others: args[3:], Scratch: filepath.Join(os.Getenv("HOME"), "layer"), Out: os.Stdout, Said: os.Stderr}
		return 0, t.Run()
	case len(args) > 1 && args[0] == "start":
		t, err := home.Parse(args[1:])
		if err != nil {
			return 0, err
		}
		return t.Run(os.Getenv("HOME"))
	}
	return 0, errors.New("it is started by nacre, not by hand; see: nacre run --help")
}

// fetch fetches the packages of a lock file from a registry into a folder.
func fetch(lock, registry, folder string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	text, err := os.ReadFile(lock)
	if err != nil {
		return err
	}
	list, err := npm.Parse(filepath.Base(lock), text, npm.For(runtime.GOARCH))
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	next := time.Now().Add(time.Second)
	f := npm.Fetcher{Registry: registry, Folder: root, Client: client(), Told: func(done, of int, bytes int64) {
		if now := time.Now(); now.After(next) || done == of {
			next = now.Add(time.Second)
			fmt.Printf("%d of %d packages, %d MB\n", done, of, bytes/1_000_000)
		}
	}}
	return f.All(ctx, list)
}

// client asks nobody but whom it is told to: the gateway is on every way out.
func client() *http.Client {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true,
		ResponseHeaderTimeout: time.Minute, MaxIdleConnsPerHost: 8}}
}
