//go:build !amd64

package main

import "nacre/attack/wire"

// The judge knows from the list that these need amd64.
func ia32(*wire.Config, *probe) outcome { return contained("no such entry on this architecture") }

func x32(*wire.Config, *probe) outcome { return contained("no such entry on this architecture") }
