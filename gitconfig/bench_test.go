package gitconfig

import (
	"fmt"
	"strings"
	"testing"

	"nacre/sandbox"
)

// BenchmarkGuards is what a start pays for a folder with one repository of forty branches,
// and for one with a hundred repositories.
func BenchmarkGuards(b *testing.B) {
	var branches strings.Builder
	for i := range 40 {
		fmt.Fprintf(&branches, "[branch \"b%d\"]\n\tremote = origin\n\tmerge = refs/heads/b%d\n", i, i)
	}
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := newPlace(b, map[string]string{"~/.gitconfig": "[user]\nname = a\n[alias]\nlg = log --oneline\nx = !git fetch && git rebase origin/main\n[core]\neditor = vim\n"})
			var found sandbox.Findings
			for i := range n {
				git := fmt.Sprintf("r%d/.git", i)
				p.write(git+"/config", "[core]\nhooksPath = .githooks\n[filter \"lfs\"]\nclean = git-lfs clean -- %f\n"+branches.String())
				p.write(fmt.Sprintf("r%d/.githooks/pre-commit", i), "")
				found.Guards = append(found.Guards, sandbox.Guard{Path: git})
			}
			for b.Loop() {
				if list, err := Guards(p.folder, found); err != nil || len(list) != n {
					b.Fatal(list, err)
				}
			}
		})
	}
}
