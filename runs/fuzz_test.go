package runs

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzRecord: a record may be torn, or somebody's who has the owner's rights.
// It is read or it is not; the id is always the folder's, and sweeping it away
// touches nothing beside.
func FuzzRecord(f *testing.F) {
	for _, text := range []string{"", "{", `{"id":"zzzzzzzz","supervisor":1}`, `{"id":"abcdefgh","groups":{"id":"abcdefgh","folders":["/sys/fs/cgroup/nacre-abcdefgh"]}}`,
		`{"groups":{"id":"..","folders":["/"]}}`, `{"groups":{"id":"abcdefgh","folders":["/sys/fs/cgroup/x/../nacre-abcdefgh","/home"]}}`, `{"extra":1}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		s := store(t)
		beside := filepath.Join(s.dir, "beside")
		dir := filepath.Join(s.dir, "abcdefgh")
		for _, d := range []string{beside, dir} {
			if err := os.Mkdir(d, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "record"), record, 0o600); err != nil {
			t.Fatal(err)
		}
		if r, dead := s.read("abcdefgh"), s.dead("abcdefgh"); r.ID != "abcdefgh" || !dead {
			t.Errorf("%q: %+v, dead %v", record, r, dead)
		}
		if _, err := s.Sweep(); err == nil {
			if _, err := os.Lstat(dir); err == nil {
				t.Errorf("%q: swept and still there", record)
			}
		}
		if _, err := os.Lstat(beside); err != nil {
			t.Error(err)
		}
	})
}
