// Command nacre-image prepares images for nacre: it pulls and unpacks what the
// cache lacks, and hands over the folder. It is not for people.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"nacre"
	"nacre/image"
	"nacre/image/ask"
	"nacre/localapi/api"
	"nacre/localapi/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 2 || serve(ctx, os.Args[1]) != nil {
		fmt.Fprintln(os.Stderr, "nacre-image is started by nacre, not by hand; see: nacre run --help")
		os.Exit(2)
	}
}

// serve answers one request.
func serve(ctx context.Context, cache string) error {
	line := os.NewFile(ask.Line, "nacre")
	conn, err := ask.Conn(line)
	if err != nil {
		return err
	}
	defer conn.Close()
	line.Close()
	var asked nacre.Image
	fds, err := wire.Receive(conn, &asked)
	wire.Close(fds)
	if err != nil {
		return err
	}
	folder, held, err := prepare(ctx, cache, asked)
	if err != nil {
		return wire.Send(conn, ask.Reply{Error: api.ProblemOf(err)})
	}
	defer held.Close()
	return wire.Send(conn, ask.Reply{Folder: folder}, int(held.Fd()))
}

// prepare gives the folder of an image: a folder as it is, an image out of the
// cache.
func prepare(ctx context.Context, cache string, asked nacre.Image) (string, *os.File, error) {
	if asked.Kind == nacre.ImageDirectory {
		f, err := image.CheckDirectory(asked.Reference)
		return asked.Reference, f, err
	}
	if asked.Kind == ask.Artifact {
		f, digest, err := image.Artifact(ctx, asked.Reference, cache)
		return digest, f, err
	}
	store, err := image.Open(cache, image.Options{})
	if err != nil {
		return "", nil, err
	}
	defer store.Close()
	root, err := store.Prepare(ctx, asked, progress())
	if err != nil {
		return "", nil, err
	}
	return root.Path, root.Held(), nil
}

// progress tells on standard error how far a download is, from the second
// second on.
func progress() image.Progress {
	next := time.Now().Add(time.Second)
	return func(s image.Status) {
		if now := time.Now(); now.After(next) {
			next = now.Add(time.Second)
			fmt.Fprintf(os.Stderr, "image: layer %d of %d, %d of %d MiB\n", s.Layer, s.Layers, s.Done>>20, s.Total>>20)
		}
	}
}
