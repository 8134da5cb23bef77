package cgroup

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"nacre/fault"
)

// patience is how long systemd may take to make a scope.
const patience = 10 * time.Second

const systemd = "org.freedesktop.systemd1"

// diskWeight is a sandbox's share of a disk that others want too, who have 100.
// It is no limit, and holds only where systemd has the io controller and the
// disk's scheduler knows weights.
const diskWeight = 20

// property is D-Bus's (sv).
type property struct {
	Name  string
	Value dbus.Variant
}

// scope has systemd make the scope, with this process in it, and waits until
// the kernel says that it is so. Below it everything is ours.
func (g *Group) scope(ctx context.Context) error {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	want := filepath.Dir(g.dir(tree2, ""))
	unit := filepath.Base(want)
	if err := startScope(ctx, g.layout.Manager, unit, filepath.Base(g.layout.Base[tree2])); err != nil {
		return unsupported(err, "systemd made no scope", "see systemctl status and journalctl")
	}
	for {
		own, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
		if err == nil && filepath.Join(root, own[tree2]) == want {
			g.Delegation = time.Since(begun)
			return nil
		}
		select {
		case <-ctx.Done():
			return unsupported(errors.Join(ctx.Err(), err), "systemd left this process in "+own[tree2], "see journalctl; use systemd 244 or newer")
		case <-time.After(time.Millisecond):
		}
	}
}

func startScope(ctx context.Context, socket, unit, slice string) error {
	type units []struct { // a(sa(sv)): further ones
		Name       string
		Properties []property
	}
	return ask(ctx, socket, "StartTransientUnit", unit, "fail", []property{
		{"Description", dbus.MakeVariant("Nacre sandbox " + unit)},
		{"Slice", dbus.MakeVariant(slice)},
		{"PIDs", dbus.MakeVariant([]uint32{uint32(os.Getpid())})},
		{"Delegate", dbus.MakeVariant(true)},
		{"IOWeight", dbus.MakeVariant(uint64(diskWeight))},
		{"CollectMode", dbus.MakeVariant("inactive-or-failed")},
		{"TasksMax", dbus.MakeVariant(uint64(math.MaxUint64))}, // else systemd's default, which may be less than the plan's
	}, units{})
}

// stopScope has systemd end a scope that nobody is in, and waits until it is gone.
// That may be needed: where the last process left or died just as systemd put it
// there, systemd never learns that the scope is empty.
func stopScope(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	for cgroups.PathExists(dir) && ctx.Err() == nil {
		if err = ask(ctx, Detect().Manager, "StopUnit", filepath.Base(dir), "replace"); err != nil {
			_ = unix.Rmdir(dir) // if systemd knows it no more; one that is not empty stays
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !cgroups.PathExists(dir) {
		return nil // it went by itself
	}
	return fault.Wrap(fault.Leftover, err, "systemd does not remove %s", dir).WithHint("systemctl [--user] stop %s", filepath.Base(dir))
}

// ask calls a method of systemd's manager.
func ask(ctx context.Context, socket, method string, args ...any) error {
	conn, err := dbus.Dial("unix:path="+socket, dbus.WithContext(ctx))
	if err != nil {
		return err
	}
	defer conn.Close()
	err = conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))})
	if err == nil && !strings.HasSuffix(socket, "/private") { // a bus wants a greeting
		err = conn.Hello()
	}
	if err != nil {
		return err
	}
	return conn.Object(systemd, "/org/freedesktop/systemd1").CallWithContext(ctx, systemd+".Manager."+method, 0, args...).Err
}
