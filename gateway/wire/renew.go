package wire

// Renew asks for a secret as it is kept now, for this gateway alone among all, so that
// what it holds can be exchanged for something new.
type Renew struct {
	ID     uint64
	Secret string
}

// Renewed answers it, and answers what came of it.
type Renewed struct {
	ID    uint64
	Value []byte `json:",omitempty"`
	Own   bool   `json:",omitempty"` // nothing can be kept: the gateway's own copy counts
	Error string `json:",omitempty"`
}

// Rotated gives the secret back, with a new refresh token where there is one.
type Rotated struct {
	ID      uint64
	Refresh string `json:",omitempty"`
}
