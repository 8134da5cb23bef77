package cli

import (
	"bufio"
	"fmt"
	"strings"

	"nacre"
	"nacre/compile"
	"nacre/grant"
	"nacre/manifest"
	"nacre/terminal"
)

// ask offers the current folder, where it may be granted at all.
func (app *App) ask(c grant.Input) ([]manifest.File, error) {
	whole, err := c.Whole()
	if err != nil {
		return nil, err
	}
	auth, err := compile.Authority(whole)
	if err != nil {
		return nil, err
	}
	f := manifest.File{Path: c.Owner.Cwd, Access: nacre.Read, Origin: nacre.Origin{File: nacre.OriginCommandLine}}
	if d, refused := auth.Refused(nacre.Decision{}, f.Path, nacre.Read); refused {
		app.note("the current folder is not granted: %s", d.Reason)
		return nil, nil
	}
	fmt.Fprintf(app.Err, "Grant the current folder, %s, to the program?\n[r]ead / [w]rite / [N]one: ", terminal.Clean(f.Path))
	answer, err := bufio.NewReaderSize(app.In, 16).ReadString('\n')
	if err != nil {
		fmt.Fprintln(app.Err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "r", "read":
	case "w", "write":
		f.Access = nacre.Write
		if d, refused := auth.Refused(nacre.Decision{}, f.Path, nacre.Write); refused {
			app.note("the current folder is not granted: %s", d.Reason)
			return nil, nil
		}
	default:
		return nil, nil
	}
	return []manifest.File{f}, nil
}
