package cli

import (
	"nacre/fault"
	"nacre/skill"
	"nacre/skill/lock"
	"nacre/skill/part"
	"nacre/skill/shelf"
	"nacre/skill/store"
)

// stagedPart refuses a skill that comes in with a part that nobody could use.
func stagedPart(st *store.Staged) ([]part.Line, error) {
	files, err := st.Files()
	if err != nil {
		return nil, err
	}
	defer files.Close()
	return part.Read(st.Skill(), files)
}

// verified reads a skill again, as it was locked, and what makes its kind.
func verified(s *shelf.Shelf, e lock.Entry) (*skill.Skill, []part.Line, error) {
	found, err := s.Verify(e)
	if err != nil {
		return nil, nil, err
	}
	files, err := skill.Beneath(s.Folder(e))
	if err != nil {
		return found, nil, err
	}
	defer files.Close()
	lines, err := part.Read(found, files)
	if err != nil {
		return found, nil, fault.Wrap(fault.KindOf(err), err, "%s", e.Name)
	}
	return found, lines, nil
}
