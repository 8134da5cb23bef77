package seccomp

import "golang.org/x/sys/unix"

// Verdict is the filter's answer to one call. The zero value refuses it.
type Verdict struct {
	Permit bool
	Errno  unix.Errno // of a refusal; 0 is EPERM
	Quiet  bool       // of a refusal: honest programs probe, so it is not reported
}

var (
	permit = Verdict{Permit: true}
	quiet  = Verdict{Quiet: true}
)

func refuse(e unix.Errno) Verdict { return Verdict{Errno: e} }

// rule is how one call is treated: the first clause that holds decides, else
// the last verdict.
type rule struct {
	clauses []clause
	last    Verdict
	limit   string // the condition in words; empty where there is none
}

// clause gives its verdict where all its tests hold.
type clause struct {
	when []test
	then Verdict
}

// test looks at one half of one argument: the low 32 bits, unless high is set.
type test struct {
	arg    uint32
	mask   uint32
	values []uint32 // nil: any bit under the mask is set
	high   bool
}

// set tests whether any of the bits is set in an argument.
func set(arg, bits uint32) test { return test{arg: arg, mask: bits} }

// is tests whether an argument is one of the values.
func is(arg uint32, values ...uint32) test { return masked(arg, ^uint32(0), values...) }

// masked tests whether an argument's bits under the mask are one of the values.
func masked(arg, mask uint32, values ...uint32) test {
	return test{arg: arg, mask: mask, values: values}
}

// null tests whether a pointer is null: both halves, since any address may end
// in 32 zero bits.
func null(arg uint32) []test {
	low, high := is(arg, 0), is(arg, 0)
	high.high = true
	return []test{low, high}
}

func when(then Verdict, tests ...test) clause { return clause{when: tests, then: then} }
