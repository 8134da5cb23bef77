// Package sign signs skills and checks their signatures, with Ed25519 keys in
// the files that minisign has. What is signed is a skill's name and the digest
// of its folder; the signature lies in the folder as SKILL.minisig, which the
// digest leaves out.
package sign

import (
	"crypto/rand"
	"fmt"
	"slices"

	"aead.dev/minisign"

	"nacre/fault"
	"nacre/skill"
)

// Message is what is signed.
func Message(s *skill.Skill) []byte { return fmt.Appendf(nil, "nacre skill %s %s\n", s.Name, s.Digest) }

// Generate makes a pair of keys, as the texts of their files. Whoever has the
// private one can sign.
func Generate() (public, private []byte, err error) {
	pub, priv, err := minisign.GenerateKey(rand.Reader)
	if err == nil {
		private, err = priv.MarshalText()
	}
	if err != nil {
		return nil, nil, fault.Wrap(fault.Internal, err, "cannot make a key")
	}
	return fmt.Appendf(nil, "untrusted comment: minisign public key %X\n%s\n", pub.ID(), pub), append(private, '\n'), nil
}

// Sign signs a skill with a private key, and returns the signature's file and
// the public key, as policies list it.
func Sign(private []byte, s *skill.Skill) (signature []byte, public string, err error) {
	var key minisign.PrivateKey
	if minisign.IsEncrypted(private) {
		return nil, "", fault.New(fault.Invalid, "the key is protected by a passphrase").
			WithHint("nacre skill sign --print FOLDER prints what minisign itself can sign with it")
	}
	if err := key.UnmarshalText(private); err != nil {
		return nil, "", fault.Wrap(fault.Invalid, err, "the key cannot be used").WithHint("expected a private key of minisign: nacre skill sign --new-key FILE makes one")
	}
	pub, ok := key.Public().(minisign.PublicKey)
	if !ok {
		return nil, "", fault.New(fault.Internal, "the key has no public one")
	}
	comment := fmt.Sprintf("nacre skill %s %s", s.Name, s.Digest)
	return minisign.SignWithComments(key, Message(s), comment, "signature of a skill"), pub.String(), nil
}

// CheckKey refuses what is no public key.
func CheckKey(key string) error {
	var k minisign.PublicKey
	if err := k.UnmarshalText([]byte(key)); err != nil {
		return fault.New(fault.Invalid, "%.80q is no public key of minisign: expected 56 letters that begin with RW", key)
	}
	return nil
}

// By is the key, of those that are trusted, that has signed the skill; empty
// where none has.
func By(keys []string, s *skill.Skill, signature []byte) string {
	i := slices.IndexFunc(keys, func(key string) bool {
		var k minisign.PublicKey
		return k.UnmarshalText([]byte(key)) == nil && minisign.Verify(k, Message(s), signature)
	})
	if len(signature) == 0 || i < 0 {
		return ""
	}
	return keys[i]
}

// Required refuses a skill that none of the keys has signed. No keys: none is
// required.
func Required(keys []string, who string, s *skill.Skill, signature []byte) error {
	switch {
	case len(keys) == 0 || By(keys, s, signature) != "":
		return nil
	case len(signature) == 0:
		return fault.New(fault.Denied, "the skill %s is not signed, and the %s requires that", s.Name, who).
			WithHint("nacre skill sign signs a folder; skill-signers in the %s lists the keys", who)
	}
	return fault.New(fault.Denied, "the skill %s is not signed as it is by a key that the %s lists", s.Name, who).
		WithHint("skill-signers in the %s lists the keys that count", who)
}
