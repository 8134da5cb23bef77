package programs

import (
	"os"
)

// Faulty is a folder with nacre and nacre-init that can be told to leave a
// layer out: the one that $NACRE_FAULTY_BIN names, else a new one.
func Faulty() (dir string, remove func(), err error) {
	if dir := os.Getenv("NACRE_FAULTY_BIN"); dir != "" {
		return dir, func() {}, nil
	}
	return build("-tags", "nacrefault", "nacre/cmd/nacre", "nacre/cmd/nacre-init")
}
