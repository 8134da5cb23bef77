// Command guest is the program inside a test machine. As process 1 of the
// initial RAM file system it loads the disk drivers, lays the payload over the
// root file system and hands over to systemd (or finishes the image); started
// by systemd, it runs the job's steps and writes their results to a disk.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nacre/test/vm/job"
)

func main() {
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == "landlock-abi":
		err = printLandlockABI()
	case len(os.Args) > 1 && os.Args[1] == "steps":
		err = runSteps()
		say("off")
		powerOff(err)
	case os.Getpid() == 1:
		err = boot()
		powerOff(err)
	default:
		err = fmt.Errorf("usage: guest steps | landlock-abi")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

// printLandlockABI prints the kernel's Landlock version, 0 where it has none.
func printLandlockABI() error {
	const version = 1 // LANDLOCK_CREATE_RULESET_VERSION
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, version)
	switch errno {
	case 0:
		fmt.Println(abi)
	case unix.ENOSYS, unix.EOPNOTSUPP:
		fmt.Println(0)
	default:
		return errno
	}
	return nil
}

// say writes a line for the host to the console.
func say(format string, args ...any) {
	f, err := os.OpenFile("/dev/console", os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return // no console to complain on; the results disk still tells
	}
	defer f.Close()
	fmt.Fprintf(f, "\n%s%s\n", job.Started, fmt.Sprintf(format, args...))
}

// powerOff ends the machine; the disks are scratch, so nothing is unmounted.
func powerOff(err error) {
	if err != nil {
		say("failed: %v", err)
	}
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// disk waits for the block device with a serial number.
func disk(serial string) (string, error) {
	for range 200 {
		files, _ := filepath.Glob("/sys/block/*/serial")
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err == nil && strings.TrimSpace(string(b)) == serial {
				return "/dev/" + filepath.Base(filepath.Dir(f)), nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "", fmt.Errorf("no disk %q", serial)
}

func readJob(root string) (job.Job, error) {
	var j job.Job
	b, err := os.ReadFile(filepath.Join(root, job.File))
	if err == nil {
		err = json.Unmarshal(b, &j)
	}
	return j, err
}
