package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// memoryFigure is what idle sandboxes take.
type memoryFigure struct {
	Name  string  `json:"name"`
	Count int     `json:"count"`
	MiB   float64 `json:"pss_mib"`
}

// memory has many sandboxes sleep, and adds up what their processes take.
// Memory that several share is divided among them (PSS).
func (b *bench) memory() error {
	var supervisors []*exec.Cmd
	defer func() {
		for batch := range slices.Chunk(supervisors, 16) { // they all record their end in one file
			for _, s := range batch {
				_ = s.Process.Signal(os.Interrupt)
			}
			for _, s := range batch {
				_ = s.Wait()
			}
		}
	}()
	for range b.idle {
		c := exec.Command(b.at("nacre"), "run", "-q", "--", "sh", "-c", "echo ready; exec sleep 100000")
		c.Env = []string{"PATH=/usr/bin:/bin", "HOME=/root", "XDG_STATE_HOME=" + b.at("state0")}
		c.Dir, c.Stderr = "/", os.Stderr
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			return err
		}
		supervisors = append(supervisors, c)
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
			return fmt.Errorf("number %d: %q, %v", len(supervisors), line, err)
		}
	}
	time.Sleep(2 * time.Second) // what starts has settled
	sums := map[string]float64{}
	children := childrenOf()
	for _, s := range supervisors {
		sums["supervisor (nacre run)"] += pss(s.Process.Pid)
		for _, init := range children[s.Process.Pid] {
			sums["sandbox: nacre-init"] += pss(init)
			for _, agent := range children[init] {
				sums["sandbox: the command (sleep)"] += pss(agent)
			}
		}
	}
	all := 0.0
	for _, name := range []string{"sandbox: nacre-init", "sandbox: the command (sleep)", "supervisor (nacre run)"} {
		all += sums[name]
		b.report.Memory = append(b.report.Memory, memoryFigure{name, b.idle, sums[name] / float64(b.idle) / 1024})
	}
	b.report.Memory = append(b.report.Memory, memoryFigure{"together", b.idle, all / float64(b.idle) / 1024})
	return nil
}

// pss is a process's share of memory, in KiB.
func pss(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
			n, _ := strconv.ParseFloat(f[1], 64)
			return n
		}
	}
	return 0
}

func childrenOf() map[int][]int {
	all := map[int][]int{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			all[parent] = append(all[parent], pid)
		}
	}
	return all
}
