package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"nacre/terminal"
)

// table is rows for people on a terminal, and tab-separated lines without a
// heading for programs.
type table struct {
	heading []string
	rows    [][]string
}

func (t *table) add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = terminal.Clean(fmt.Sprint(c))
	}
	t.rows = append(t.rows, row)
}

func (t *table) print(app *App) error {
	if !isTerminal(app.Out) {
		for _, r := range t.rows {
			if _, err := fmt.Fprintln(app.Out, strings.Join(r, "\t")); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	if len(t.heading) > 0 {
		fmt.Fprintln(w, strings.Join(t.heading, "\t"))
	}
	for _, r := range t.rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	return w.Flush()
}

// pair is a row of two, for programs.
type pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// pairs are the rows of a table that says one thing of each name, or several.
func (t *table) pairs() (list []pair) {
	for _, r := range t.rows {
		list = append(list, pair{r[0], r[1]})
	}
	return list
}

// printJSON writes a value for programs.
func (app *App) printJSON(v any) error {
	e := json.NewEncoder(app.Out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// The colours, as a terminal takes them.
const (
	green  = "32"
	red    = "31"
	yellow = "33"
	bold   = "1"
)

// paint colours a text, where it goes to a terminal that wants colour.
func (app *App) paint(colour, text string) string {
	if !isTerminal(app.Out) || app.getenv("NO_COLOR") != "" || app.getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
