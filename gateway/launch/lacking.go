package launch

import (
	"errors"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/gateway/capture"
)

// Lacking says what a machine lacks where a sandbox could not be built because its
// kernel would not redirect what is sent there; any other error it leaves as it is.
// There is no other way to capture it all: nothing runs.
func Lacking(err error) error {
	var u *capture.Unheard
	if !errors.As(err, &u) || u.Protocol != unix.NETLINK_NETFILTER {
		return err
	}
	return fault.Wrap(fault.Unsupported, err, "this machine's kernel cannot redirect what a sandbox sends: it lacks a part of nf_tables").
		WithHint("as root: modprobe -a nf_tables nft_chain_nat nft_redir nfnetlink_log, and have that done at boot; where the kernel was built without them, run what needs no network")
}
