// Command nacre-gateway is the process through which everything passes that a
// sandbox sends. It is not for people: the supervisor starts it with a plan's
// grants, and it confines itself before it reads them.
package main

import (
	"fmt"
	"os"
	"slices"

	"nacre"
	"nacre/gateway"
	"nacre/gateway/wire"
	"nacre/sandbox/lockdown"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "nacre-gateway is started by nacre, not by hand; see: nacre run --help")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "nacre-gateway:", run(os.Args[1:]))
	os.Exit(1)
}

// run serves until the supervisor is gone, or says why it cannot.
func run(args []string) error {
	control, err := wire.NewConn(os.NewFile(wire.ControlFD, "control"))
	if err != nil {
		return err
	}
	confine := func() error {
		return lockdown.Enter(gateway.Calls(), slices.Contains(args, string(nacre.TierNoLandlock)))
	}
	return gateway.Main(control, confine, func() (wire.Config, error) {
		pipe := os.NewFile(wire.ConfigFD, "config")
		defer pipe.Close()
		config, err := wire.ReadConfig(pipe)
		config.System = os.NewFile(wire.SystemFD, "certificates")
		return config, err
	})
}
