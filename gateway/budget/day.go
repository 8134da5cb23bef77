package budget

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/gateway/model"
)

// Day is what an agent used of a provider's models in one day, as a file has it.
type Day struct {
	Agent    string       `json:"agent"` // its manifest, on the owner's side
	Provider string       `json:"provider"`
	Date     string       `json:"date"` // UTC
	Used     model.Amount `json:"used"` // or reserved
}

// day is the file, which all runs of the agent share: whoever changes it has its
// lock.
type day struct {
	dir  *os.Root
	lock *os.File
	name string
	who  Day
	now  func() time.Time
}

const maxFile = 64 << 10

// open opens the folder, which must be the owner's alone.
func open(folder string) (*os.Root, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Stat(folder, &st); err == nil && (int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0) {
		err = fault.New(fault.Tampered, "%s must be yours alone", folder).WithHint("chmod 700 %s, and see who could write there", folder)
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

func openDay(folder, agent, provider string) (*day, error) {
	dir, err := open(folder)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(agent + "\x00" + provider))
	d := &day{dir: dir, name: hex.EncodeToString(sum[:12]), who: Day{Agent: agent, Provider: provider}, now: time.Now}
	if d.lock, err = dir.OpenFile(d.name+".lock", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600); err != nil {
		dir.Close()
		return nil, err
	}
	return d, nil
}

func (d *day) close() error { return errors.Join(d.lock.Close(), d.dir.Close()) }

// change changes what was used today, for good, while nobody else does. A clock
// that went back changes no day: what was used of the later one stays used.
func (d *day) change(do func(used *model.Amount, date string) error) (date string, err error) {
	if err := unix.Flock(int(d.lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	defer func() { _ = unix.Flock(int(d.lock.Fd()), unix.LOCK_UN) }() // whoever has it, closes it
	s, err := d.read()
	if err != nil {
		return "", fault.Wrap(fault.Tampered, err, "what was used today cannot be read (%s)", d.dir.Name()+"/"+d.name)
	}
	if today := d.now().UTC().Format(time.DateOnly); today > s.Date {
		s.Date, s.Used = today, model.Amount{}
	}
	if err := do(&s.Used, s.Date); err != nil {
		return "", err
	}
	if err := d.write(s); err != nil {
		return "", fault.Wrap(fault.Exhausted, err, "what is used cannot be kept")
	}
	return s.Date, nil
}

// read is what the file says; of one that is not there, that nothing was used.
func (d *day) read() (Day, error) {
	s, err := read(d.dir, d.name)
	if errors.Is(err, fs.ErrNotExist) {
		return d.who, nil
	}
	if err == nil && (s.Agent != d.who.Agent || s.Provider != d.who.Provider) {
		err = errors.New("it is of another agent")
	}
	return s, err
}

func read(dir *os.Root, name string) (s Day, err error) {
	f, err := dir.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return s, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return s, err
	}
	text := json.NewDecoder(bytes.NewReader(b))
	text.DisallowUnknownFields()
	if err := text.Decode(&s); err != nil {
		return s, err
	}
	if _, err := time.Parse(time.DateOnly, s.Date); err != nil {
		return s, err
	}
	const beyond = 1 << 60 // what can still be added to
	if s.Used != s.Used.Most(model.Amount{}).Least(model.Amount{Requests: beyond, Tokens: beyond, Money: beyond}) {
		return s, errors.New("more or less was used than can be")
	}
	return s, nil
}

// write replaces the file at once and for good.
func (d *day) write(s Day) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	draft := d.name + ".new"
	f, err := d.dir.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := d.dir.Rename(draft, d.name); err != nil {
		return err
	}
	folder, err := d.dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Days are what an agent used in its last day at each provider.
func Days(folder, agent string) ([]Day, error) {
	if _, err := os.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	dir, err := open(folder)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return nil, err
	}
	var list []Day
	for _, e := range entries {
		if len(e.Name()) != 24 { // locks and drafts
			continue
		}
		s, err := read(dir, e.Name())
		if err != nil {
			return nil, err
		}
		if s.Agent == agent {
			list = append(list, s)
		}
	}
	return list, nil
}
