// Command serve is the fake model as a server of its own, to try an agent by
// hand: serve -script script.json, then point the agent at the address it prints.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"nacre/test/fakemodel"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "the address")
	script := flag.String("script", "", "a file with rules and steps, in JSON")
	key := flag.String("key", "", "the only key that is accepted; default: any")
	flag.Parse()
	if err := serve(*listen, *script, *key); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func serve(listen, script, key string) error {
	s := &fakemodel.Server{Key: key}
	if script != "" {
		f, err := os.Open(script)
		if err != nil {
			return err
		}
		s.Script, err = fakemodel.Read(f)
		_ = f.Close() // only read
		if err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", l.Addr())
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		fmt.Printf("%s %s\n", r.Method, r.URL.Path)
	})
	return (&http.Server{Handler: h, ReadHeaderTimeout: time.Minute}).Serve(l)
}
