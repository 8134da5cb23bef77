package explain

import (
	"path"
	"strings"

	"nacre"
	"nacre/policy"
	"nacre/remedy"
	"nacre/sandbox/blueprint"
)

// granted is the plan's folder or file that a place is in: inside there is one at most;
// on the host the widest counts.
func granted(p nacre.Plan, place string, inside bool) (best nacre.FileGrant) {
	for _, g := range p.Files {
		root := map[bool]string{true: g.Inside, false: g.Host}[inside]
		if policy.Within(root, place) && (best.ID == "" || g.Access > best.Access) {
			best = g
		}
	}
	return best
}

// OnHost is a place on the host: that of what the plan grants, where it is inside.
func OnHost(p nacre.Plan, place string, inside bool) (string, bool) {
	best := granted(p, place, inside)
	if inside {
		place = best.Host + strings.TrimPrefix(place, best.Inside)
	}
	return place, best.ID != ""
}

func decideFile(p nacre.Plan, q Query, no nacre.Decision) nacre.Decision {
	access := max(q.Access, nacre.Read)
	no.Subject += " " + access.String()
	blocked, err := policy.NewBlocked(p.Blocked)
	place, badPath := policy.Resolve(q.Subject, "", "", nacre.Origin{})
	if err != nil || badPath != nil {
		no.Reason = "not an absolute path, or not a plan of ours"
		return no
	}
	best := granted(p, place, q.Inside)
	switch {
	case best.ID == "" && q.Inside:
		return found(q.Laid, p.Image.Kind, place, access, no)
	case best.ID == "":
		no.Remedy = "--files " + remedy.Shell(place+":"+access.String())
		return no
	}
	host, _ := OnHost(p, place, q.Inside)
	if pattern, ok := blocked.Match(host); ok {
		no.Rule, no.Reason = "blocked."+pattern, "the name is masked wherever it is"
		return no
	}
	if best.Access < access {
		no.Rule, no.Reason, no.Origin = best.ID, "it is granted to "+best.Access.String()+" only", best.Declared
		no.Remedy = "--files " + remedy.Shell(best.Host+":"+access.String())
		return no
	}
	within := best.Inside + strings.TrimPrefix(host, best.Host)
	if rule, reason := held(q.Laid, within, access); rule != "" {
		no.Rule, no.Reason = rule, reason
		return no
	}
	return yes(no, best.Grant)
}

// held is what masks or guards a place, as the engine lays it, and why.
func held(laid []blueprint.Entry, place string, access nacre.Access) (rule, reason string) {
	for _, e := range laid {
		switch {
		case !policy.Within(e.Path, place):
		case e.Form == blueprint.Mask:
			return "masked", "it is masked: a further name of something blocked, or no file or folder that could be looked into"
		case e.Form == blueprint.Guard && !e.Write && access >= nacre.Write:
			return "guarded", "existing git control files and settings stay read-only in a folder granted to write"
		}
	}
	return "", ""
}

// maxLinks is how many links are followed, each to another place of the list.
const maxLinks = 40

// found answers about what is the sandbox's own, and what it sees of the system.
func found(laid []blueprint.Entry, image nacre.ImageKind, place string, access nacre.Access, no nacre.Decision) nacre.Decision {
	if len(laid) == 0 {
		return no
	}
	for range maxLinks {
		e := last(laid, place)
		if e.Form == blueprint.Link {
			target := string(e.Text)
			if !path.IsAbs(target) {
				target = path.Join(path.Dir(e.Path), target)
			}
			place = path.Clean(target + strings.TrimPrefix(place, e.Path))
			continue
		}
		return judged(e, image, place, access, no)
	}
	no.Reason = "links lead round in circles there"
	return no
}

// last is the entry that decides about a place: what is made later lies over what was
// there before.
func last(laid []blueprint.Entry, place string) (deciding blueprint.Entry) {
	for _, e := range laid {
		whole := e.Dir || e.Form == blueprint.Mask || e.Form == blueprint.Link || e.Form == blueprint.Folder
		if e.Form != blueprint.Guard && e.Path != "" && (e.Path == place || whole && policy.Within(e.Path, place)) {
			deciding = e
		}
	}
	return deciding
}

func judged(e blueprint.Entry, image nacre.ImageKind, place string, access nacre.Access, no nacre.Decision) nacre.Decision {
	empty := e.Form == blueprint.Folder || e.Form == blueprint.System && e.Host == "tmpfs"
	switch {
	case e.Form == "" && image != nacre.ImageHost:
		no.Rule, no.Reason = "image", "what the image has there, which cannot be changed"
	case e.Form == "" || empty && e.Path != place:
		no.Reason = "nothing of that name is in the sandbox"
		return no
	case e.Form == blueprint.Mask:
		no.Rule, no.Reason = "masked", "it is masked in every sandbox"
		return no
	case e.Form == blueprint.Private:
		no.Rule, no.Reason = "private", "a private place of the sandbox"
	case e.Form == blueprint.Tree && e.Device:
		no.Rule, no.Reason = "device", "a harmless device that every sandbox has"
	case e.Form == blueprint.Tree:
		no.Rule, no.Reason = "system", "what the sandbox sees of the host's system, which cannot be changed"
	default:
		no.Rule, no.Reason = "own", "made for every sandbox, which cannot change it"
	}
	if access < nacre.Write || e.Write || e.Device {
		no.Effect = nacre.Allow
	}
	return no
}
