package launch

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/gateway/wire"
)

// hostKeys are the keys that the owner knows of the SSH servers that a plan
// grants. A server that is not known is refused before anything runs.
func hostKeys(p nacre.Plan, files []string) (keys []wire.HostKey, err error) {
	grants := slices.DeleteFunc(slices.Clone(p.Network), func(n nacre.NetworkGrant) bool { return n.Scheme != "ssh" })
	if len(grants) == 0 {
		return nil, nil
	}
	check, err := knownHosts(files)
	if err != nil {
		return nil, err
	}
	for _, n := range grants {
		for _, port := range n.Ports {
			known := known(check, net.JoinHostPort(n.Host, strconv.Itoa(port)))
			if len(known) == 0 {
				return nil, fault.New(fault.NotFound, "no key of the SSH server %s, port %d, is in %s", n.Host, port, strings.Join(files, " or ")).
					WithHint("connect there once yourself, and compare the fingerprint with what the host says it is: ssh -p %d git@%s", port, n.Host)
			}
			for _, k := range known {
				keys = append(keys, wire.HostKey{Host: cmp.Or(n.As, n.Host), Port: port, Key: k.Marshal()})
			}
		}
	}
	return keys, nil
}

// knownHosts reads the files that are there. Whoever could write them could be
// any server.
func knownHosts(files []string) (ssh.HostKeyCallback, error) {
	var there []string
	for _, name := range files {
		var s unix.Stat_t
		if err := unix.Stat(name, &s); errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fault.Wrap(fault.NotFound, err, "%s cannot be read", name)
		}
		if s.Mode&unix.S_IFMT != unix.S_IFREG || s.Mode&0o022 != 0 || s.Uid != 0 && int(s.Uid) != os.Geteuid() {
			return nil, fault.New(fault.Invalid, "%s is not a file that only its owner, you or root, can write", name).
				WithHint("chmod go-w %s", name)
		}
		there = append(there, name)
	}
	check, err := knownhosts.New(there...)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the keys of SSH servers cannot be read")
	}
	return check, nil
}

// known lists the keys of a server, but for those that were revoked.
func known(check ssh.HostKeyCallback, address string) (keys []ssh.PublicKey) {
	nobodys, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		return nil
	}
	unknown, ok := errors.AsType[*knownhosts.KeyError](check(address, &net.TCPAddr{}, nobodys))
	if !ok {
		return nil
	}
	for _, k := range unknown.Want {
		if check(address, &net.TCPAddr{}, k.Key) == nil {
			keys = append(keys, k.Key)
		}
	}
	return keys
}
