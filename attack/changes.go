package attack

import (
	"os"
	"path/filepath"
	"time"

	"nacre/attack/wire"
)

// changes are what the outside does in the granted folder while a probe looks
// on, as an owner does who goes on working there. Each moves one finished thing
// into place: nothing of the folder is opened, nor a link in it followed.
func (w *world) changes() map[string]func() error {
	return map[string]func() error{
		wire.BlockedReplaced: func() error { // as editors save
			name := filepath.Join(w.outside, "saved")
			if err := os.WriteFile(name, []byte(w.secret("replaced")+"\n"), 0o644); err != nil {
				return err
			}
			return os.Rename(name, filepath.Join(w.folder, ".netrc"))
		},
		wire.BlockedMovedIn: func() error {
			dir := filepath.Join(w.outside, wire.MovedIn)
			if err := os.MkdirAll(filepath.Join(dir, "deep/.aws"), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, "deep/.aws/credentials"), []byte(w.secret("moved-in")+"\n"), 0o644); err != nil {
				return err
			}
			return os.Rename(dir, filepath.Join(w.folder, wire.MovedIn))
		},
	}
}

// lookingOn is how long a probe runs before the outside changes something.
const lookingOn = 300 * time.Millisecond

// changing makes a probe's change once the probe has begun. What it returns
// waits for that, takes away what can be, and says whether it was made.
func (w *world) changing(specs []wire.Spec, c *collector) (done func() error) {
	change := w.changes()[specs[0].ID]
	if change == nil {
		return func() error { return nil }
	}
	result := make(chan error, 1)
	c.began = func() {
		c.began = nil
		go func() {
			time.Sleep(lookingOn)
			result <- change()
		}()
	}
	return func() error {
		defer os.RemoveAll(filepath.Join(w.folder, wire.MovedIn))
		if c.began != nil {
			return nil // it never came to that
		}
		return <-result
	}
}
