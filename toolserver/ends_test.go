package toolserver_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"nacre"
	"nacre/fault"
	"nacre/test/programs"
)

// TestEnds: a server that neither reads nor listens to signals ends with its agent,
// however that ends, and nothing is left of it.
func TestEnds(t *testing.T) {
	programs.Needs(t, "curl")
	for name, end := range map[string]func(t *testing.T, w *world, box nacre.Sandbox){
		"by itself": func(_ *testing.T, w *world, _ nacre.Sandbox) {},
		"killed":    func(_ *testing.T, _ *world, box nacre.Sandbox) { _ = box.Stop(0) },
	} {
		t.Run(name, func(t *testing.T) {
			w := forTest(t)
			w.skill(t, "deaf", "", map[string]string{"tools": "*"})
			script := call("deaf", "fine")
			if name == "killed" {
				script += "sleep 1000"
			}
			box, err := w.begin("sh", "-c", script)
			if err != nil {
				t.Fatal(err)
			}
			list, err := w.running()
			if err != nil || len(list) != 2 {
				t.Errorf("%+v, %v", list, err)
			}
			end(t, w, box)
			if _, err := box.Wait(); err != nil {
				t.Error(err)
			}
			if list, err = w.running(); err != nil || len(list) != 0 {
				t.Errorf("left: %+v, %v", list, err)
			}
		})
	}
}

// supervise runs an agent with a deaf server until it is killed.
func supervise(home, bin string) {
	w, err := newWorld(home, bin)
	if err == nil {
		w.plan.Tools = []nacre.NamedGrant{{Grant: nacre.Grant{ID: "tools.1"}, Name: "deaf", Detail: map[string]string{"tools": "*", "skill": "deaf"}}}
		_, err = w.begin("sleep", "1000")
	}
	fmt.Println("began", err)
	select {}
}

// TestSupervisorKilled: where the agent's supervisor is killed, the server's sandbox
// goes too.
func TestSupervisorKilled(t *testing.T) {
	w := forTest(t)
	w.skill(t, "deaf", "", map[string]string{"tools": "*"})
	c := exec.Command("/proc/self/exe", "supervise", w.home, bin)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "began <nil>\n" {
		t.Fatal(line)
	}
	list, err := w.running()
	if err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	if err := w.empty(); err != nil {
		t.Error(err)
	}
}

// TestSkillRefused: a server that cannot be started is no reason to go without: the
// agent does not start, and nothing is left.
func TestSkillRefused(t *testing.T) {
	for name, c := range map[string]struct{ capabilities, want string }{
		"not allowed": {"network: [example.com]\n", "evil cannot be started"},
		"command":     {"command: [sh]\n", "evil cannot be started"},
		"malformed":   {"netwrk: []\n", "evil cannot be started"},
	} {
		t.Run(name, func(t *testing.T) {
			w := forTest(t)
			w.skill(t, "evil", c.capabilities, map[string]string{"tools": "*"})
			_, err := w.begin("echo", "started")
			if err == nil || !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != fault.Denied {
				t.Errorf("%v", err)
			}
			t.Log(err, fault.HintOf(err))
			if err := w.empty(); err != nil {
				t.Error(err)
			}
		})
	}
	w := forTest(t)
	w.skill(t, "evil", "", map[string]string{"tools": "*"})
	w.plan.Tools[0].Detail["skill"] = "nobody"
	if _, err := w.begin("echo", "started"); err == nil {
		t.Error("a skill that is not there")
	}
}
