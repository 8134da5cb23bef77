package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/opencontainers/cgroups"

	"nacre"
	"nacre/fault"
)

// patience is how long systemd may take to make a scope.
const patience = 10 * time.Second

// The shapes of the D-Bus call: a(sv) and a(sa(sv)).
type property struct {
	Name  string
	Value dbus.Variant
}

type auxiliary struct {
	Name       string
	Properties []property
}

// scope has systemd make the parent group, with this process in it. The
// parent's limits are properties of the unit, because the unit's own files
// stay systemd's; below it everything is ours.
func (g *Group) scope(ctx context.Context, l nacre.Limits) error {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	unit := "nacre-" + g.id + ".scope"
	if err := startScope(ctx, g.layout.Manager, unit, l); err != nil {
		var remote dbus.Error
		if errors.As(err, &remote) && remote.Name == "org.freedesktop.systemd1.UnitExists" {
			return fault.Wrap(fault.Conflict, err, "the scope %s exists already", unit).WithHint("remove what an earlier run left")
		}
		return unsupported(err, "systemd made no scope", "see systemctl status and journalctl")
	}
	g.unit, g.Delegation = unit, time.Since(begun)
	own, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
	if err != nil || filepath.Base(own[tree2]) != unit {
		return unsupported(err, "systemd left this process in "+own[tree2], "use systemd 244 or newer")
	}
	for c := range g.layout.Base {
		g.dirs[c] = filepath.Join(root, own[tree2])
	}
	return nil
}

func startScope(ctx context.Context, addresses []string, unit string, l nacre.Limits) error {
	conn, err := dial(ctx, addresses)
	if err != nil {
		return err
	}
	defer conn.Close()
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	parent := uint64(l.Memory + MemoryHeadroom)
	properties := []property{
		{"Description", dbus.MakeVariant("Nacre sandbox " + unit)},
		{"PIDs", dbus.MakeVariant([]uint32{uint32(os.Getpid())})},
		{"Delegate", dbus.MakeVariant(true)},
		{"CollectMode", dbus.MakeVariant("inactive-or-failed")},
		{"MemoryMax", dbus.MakeVariant(parent - parent%uint64(os.Getpagesize()))},
		{"MemorySwapMax", dbus.MakeVariant(uint64(0))},
		{"CPUQuotaPerSecUSec", dbus.MakeVariant(uint64((l.CPUs+CPUHeadroom)*period) * (1_000_000 / period))},
		{"TasksMax", dbus.MakeVariant(uint64(l.Processes) + 4096)}, // else systemd's default, which may be less
	}
	manager := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	call := manager.CallWithContext(ctx, "org.freedesktop.systemd1.Manager.StartTransientUnit", 0,
		unit, "fail", properties, []auxiliary{})
	if call.Err != nil {
		return call.Err
	}
	for {
		select {
		case s := <-signals:
			if done, err := finished(s, unit); done {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// finished tells whether a signal ends the job that starts the unit, and how.
func finished(s *dbus.Signal, unit string) (bool, error) {
	if s == nil {
		return true, errors.New("systemd closed the connection")
	}
	if s.Name != "org.freedesktop.systemd1.Manager.JobRemoved" || len(s.Body) < 4 || s.Body[2] != unit {
		return false, nil
	}
	if s.Body[3] != "done" {
		return true, fmt.Errorf("the job ended as %q", s.Body[3])
	}
	return true, nil
}

// dial connects to the first systemd that answers: to itself, else by the bus.
func dial(ctx context.Context, addresses []string) (*dbus.Conn, error) {
	var errs []error
	for _, a := range addresses {
		conn, err := dbus.Dial(a, dbus.WithContext(ctx))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		err = conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))})
		if err == nil && !strings.HasSuffix(a, "/systemd/private") { // a bus wants a greeting
			if err = conn.Hello(); err == nil {
				err = conn.AddMatchSignalContext(ctx, dbus.WithMatchInterface("org.freedesktop.systemd1.Manager"),
					dbus.WithMatchMember("JobRemoved"))
			}
		}
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err, conn.Close())
	}
	return nil, errors.Join(errs...)
}
