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
	fmt.Fprintf(app.Err, "Grant the current folder, %s, to the program?\n", terminal.Clean(f.Path))
	if f.Access = app.answered(); f.Access == nacre.NoAccess {
		return nil, nil
	}
	if d, refused := auth.Refused(nacre.Decision{}, f.Path, f.Access); refused {
		app.note("the current folder is not granted: %s", d.Reason)
		return nil, nil
	}
	return []manifest.File{f}, nil
}

// answered is the access that the owner answers. What is no answer is asked again, a few
// times: then, as where there is no more to read, it is none.
func (app *App) answered() nacre.Access {
	answers := bufio.NewReaderSize(app.In, 16)
	for range 3 {
		fmt.Fprint(app.Err, "[r]ead / [w]rite / [N]one: ")
		answer, err := answers.ReadString('\n')
		if err != nil {
			fmt.Fprintln(app.Err)
		}
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "r", "read":
			return nacre.Read
		case "w", "write":
			return nacre.Write
		case "", "n", "no", "none":
			return nacre.NoAccess
		}
		if err != nil {
			return nacre.NoAccess
		}
	}
	app.note("the current folder is not granted: the answers are r, w and n")
	return nacre.NoAccess
}
