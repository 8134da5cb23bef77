package launch

import (
	"nacre/egress"
	"nacre/gateway/wire"
)

// Asker hears what a gateway wants to know: whether something may go out that nothing
// grants. It must not wait for the answer, which the gateway's Answer takes.
type Asker func(id uint64, i egress.Intent)

// maxAsked bounds the texts of a question.
const maxAsked = 2048

// asked hands a question on. What a gateway may ask is bounded: it is the process that
// strangers talk to.
func (g *link) asked(a wire.Ask) {
	size := len(a.Intent.Path) + len(a.Intent.Method) + len(a.Intent.Host) + len(a.Intent.Upgrade)
	for _, ref := range a.Intent.Refs {
		size += len(ref)
	}
	if g.questions++; g.ask == nil || g.questions > wire.MaxQuestions || size > maxAsked {
		_ = g.Answer(a.ID, false) // where it fails, the gateway is gone
		return
	}
	g.ask(a.ID, a.Intent)
}

// Answer answers a question. What it allows was granted by Change before.
func (g *link) Answer(id uint64, allow bool) error {
	return g.tell(wire.Message{Answer: &wire.Answer{ID: id, Allow: allow}})
}
