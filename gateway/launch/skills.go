package launch

import (
	"context"
	"errors"

	"nacre"
	"nacre/fault"
	"nacre/gateway/wire"
	"nacre/toolserver"
)

func isSkill(s wire.ToolServer) bool { return s.Skill != "" }

// maxSkills is how many tool servers may run beside one agent.
const maxSkills = 32

// skills starts the tool servers that are skills, and says in the configuration at
// which descriptor each will speak.
func (l *Launcher) skills(config *wire.Config) (started []*toolserver.Server, err error) {
	for i := range config.Tools {
		s := &config.Tools[i]
		if s.Skill == "" {
			continue
		}
		if len(started) == maxSkills {
			return started, fault.New(fault.Unsupported, "the plan has more than %d tool servers that are skills", maxSkills)
		}
		server, err := l.Skills(s.Skill)
		if err != nil {
			return started, err
		}
		s.Stream, s.Answer = wire.StreamFD+len(started), server.Answer
		started = append(started, server)
	}
	return started, nil
}

// settleSkills waits until the sandboxes of all run, and records which they are: where
// one does not, nothing does.
func (g *link) settleSkills(ctx context.Context) error {
	for _, s := range g.skills {
		id, err := s.Ready(ctx)
		if err != nil {
			return err
		}
		if err := g.report(ctx, nacre.Event{Kind: "tools.server", Decision: nacre.Allow, Rule: "plan",
			Reason: "a tool server runs in a sandbox of its own", Detail: map[string]string{"skill": s.Name, "id": id}}); err != nil {
			return err
		}
	}
	return nil
}

// closeSkills waits until tool servers are gone whose streams nobody holds.
func closeSkills(list []*toolserver.Server) error {
	var errs []error
	for _, s := range list {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
