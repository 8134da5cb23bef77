package faults

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestScarce starts sandboxes where there is hardly a process, a file or any memory
// left for that: each either runs, confined as ever, or ends at once, with an error
// and a hint or by the kernel's hand, and leaves nothing behind.
func TestScarce(t *testing.T) {
	apart(t, "TestScarcity", "NACRE_SCARCITY="+sound)
}

// TestScarcity is not a test: it is the process in which TestScarce works.
func TestScarcity(t *testing.T) {
	bin := os.Getenv("NACRE_SCARCITY")
	if bin == "" {
		return
	}
	s := &scarcity{killer: newKiller(t, bin)}
	s.before = s.machine()
	s.sound, _ = s.start(nil)
	tests := map[string]func(){"memory of a process": s.memoryOfProcess, "open files": s.openFiles, "open files for folders": s.openFilesForFolders}
	if os.Geteuid() == 0 { // whom the kernel holds to no number of processes, and who makes control groups
		tests["processes of a group"], tests["processes that others took"], tests["memory of a group"] = s.processesOfGroup, s.processesTaken, s.memoryOfGroup
	} else {
		tests["processes of a user"] = s.processesOfUser
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s.T, s.ended = t, map[string]int{}
			test()
			s.check(s.before)
			t.Logf("%v", s.ended)
		})
	}
}

// scarcity starts sandboxes with little.
type scarcity struct {
	*killer
	before string               // the machine
	sound  string               // what a sandbox says of itself where nothing is scarce
	attr   *syscall.SysProcAttr // of what starts them
	ended  map[string]int       // starts by how they ended
	made   int                  // control groups so far
}

// processesOfGroup: from none to all that a start takes.
func (s *scarcity) processesOfGroup() {
	g := s.group("pids", "pids.max")
	for more := range 28 {
		g.has(more + 1)
		s.begins(g.add)
	}
	g.has(200)
	s.suffices(g.add)
	if s.ended["refused"] < 15 {
		s.Errorf("%v: most must be refused", s.ended)
	}
}

// processesTaken hides that there are few, as if others took them once that was
// asked.
func (s *scarcity) processesTaken() {
	manifest := filepath.Join(s.home, ".config/networked.yaml")
	s.place(manifest, "version: 1\nname: networked\ncommand: ["+confined[0]+`, "`+confined[1]+`", "`+confined[2]+`", `+confined[3]+"]\n"+granted)
	network := []string{"--agent", manifest, "--policy", filepath.Join(s.home, "policy.yaml")}
	g := s.group("pids", "pids.max")
	hidden := filepath.Join(s.home, ".config/max")
	s.place(hidden, "max\n")
	if err := unix.Mount(hidden, g.most.Name(), "", unix.MS_BIND, ""); err != nil {
		s.Fatal(err)
	}
	before := s.before
	defer func() {
		s.before = before
		if err := unix.Unmount(g.most.Name(), 0); err != nil {
			s.Error(err)
		}
	}()
	s.before = s.machine()
	for _, more := range []int{4, 5, 6, 7, 8, 9, 11, 13, 15, 17, 19} {
		g.has(more + 1)
		if more < 14 {
			s.try(g.add)
		}
		if more > 6 {
			s.try(g.add, network...)
		}
	}
	g.has(200)
	s.suffices(g.add)
	s.suffices(g.add, network...)
}

// processesOfUser works in a user namespace, in which the user has no others.
func (s *scarcity) processesOfUser() {
	s.attr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}}
	defer func() { s.attr = nil }()
	if out, _ := s.start(nil); out != s.sound {
		s.Skipf("needs sandboxes in a user namespace: %.300s", out)
	}
	for more := range 28 {
		s.begins(limited(unix.RLIMIT_NPROC, uint64(more+1)))
	}
	s.suffices(limited(unix.RLIMIT_NPROC, 10_000)) // others of the user are counted
	if s.ended["refused"] < 15 {
		s.Errorf("%v: most must be refused", s.ended)
	}
}

func (s *scarcity) memoryOfGroup() {
	for _, mib := range []int{2, 3, 4, 5, 6, 8, 10, 12, 16} {
		g := s.group("memory", "memory.max", "memory.limit_in_bytes")
		g.has(mib << 20)
		for name, swap := range map[string]int{"memory.swap.max": 0, "memory.memsw.limit_in_bytes": mib << 20} { // v2's, v1's
			_ = os.WriteFile(filepath.Join(g.dir, name), []byte(strconv.Itoa(swap)), 0o600) // not there where there is no swap
		}
		s.try(g.add)
	}
	g := s.group("memory", "memory.max", "memory.limit_in_bytes")
	g.has(400 << 20)
	s.suffices(g.add)
	if s.ended["killed"] == 0 {
		s.Errorf("%v: the least must be killed", s.ended)
	}
}

func (s *scarcity) memoryOfProcess() {
	for limit, most := range map[int][]uint64{
		unix.RLIMIT_AS:   {4, 8, 12, 16, 64, 256, 512, 640, 720, 740, 760, 780, 790, 799},
		unix.RLIMIT_DATA: {0, 4, 8, 12, 16, 32, 48, 64, 68, 72, 74, 76, 78, 80, 90, 95},
	} {
		refused := s.ended["refused"]
		for _, mib := range most {
			s.begins(limited(limit, mib<<20))
		}
		if s.ended["refused"] == refused {
			s.Errorf("limit %d: %v: nearly enough must be refused", limit, s.ended)
		}
		s.suffices(limited(limit, 4<<30))
	}
}

func (s *scarcity) openFiles() {
	for n := uint64(3); n < 96; n += 1 + n/12 {
		if got := s.begins(limited(unix.RLIMIT_NOFILE, n)); got != "refused" {
			s.Errorf("%d open files: %s", n, got)
		}
	}
	s.suffices(limited(unix.RLIMIT_NOFILE, 96))
}

// openFilesForFolders: enough to begin, and not to end with.
func (s *scarcity) openFilesForFolders() {
	var files []string
	for i := range 30 {
		folder := filepath.Join(s.home, "project2", strconv.Itoa(i)) // in which files are not looked for
		if err := os.Mkdir(folder, 0o755); err != nil {
			s.Fatal(err)
		}
		files = append(files, "--files", folder+":write")
	}
	for n := uint64(96); n < 170; n += 6 {
		s.try(limited(unix.RLIMIT_NOFILE, n), files...)
	}
	s.suffices(limited(unix.RLIMIT_NOFILE, 1000), files...)
}
