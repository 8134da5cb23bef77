package agents

import (
	"bytes"
)

// about is what the skill of the tests says of itself, and nothing else does.
const about = "Tells the tides of Ys on a Thursday."

// skill has the owner keep a skill, and give it to the agent.
func (r *run) skill() {
	r.t.Helper()
	r.write("own/tides/SKILL.md", "---\nname: tides\ndescription: "+about+"\n---\nHigh water is at noon.\n")
	if out, err := r.nacre(r.t.Context(), "skill", "add", r.home+"/own/tides").CombinedOutput(); err != nil {
		r.t.Fatalf("%v %s", err, out)
	}
	r.flags = append(r.flags, "--skill", "tides")
}

// checkSkill: the agent told its model of the skill, of its own accord.
func (r *run) checkSkill() {
	r.t.Helper()
	for _, q := range r.model.Requests() {
		if bytes.Contains(q.Body, []byte(about)) && bytes.Contains(q.Body, []byte("tides")) {
			return
		}
	}
	r.t.Error("the agent did not find the skill that it was given")
}
