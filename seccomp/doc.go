// Package seccomp builds the system call filter of a sandbox, as data: a
// classic BPF program that another package loads. It makes no system call.
//
// The filter denies by default. What it permits is a commented table
// (calls.txt), the same for every architecture; so is what it refuses by name,
// and what a plan may add. A test keeps every call that the kernel has in
// exactly one section of the base list.
//
// Package generate makes of it the instructions for each entry, zz_calls.go; a
// test keeps both equal, others read calls.txt by themselves and compare every
// filter with that. What is left to be done for a plan: the entries that it asks
// for, each call's by its number (Table), and a search for the number (Filter).
//
// # Order of evaluation
//
//  1. The architecture word. Any but the plan's own kills the process: a
//     64-bit program has no honest reason to enter by int 0x80, and a 32-bit
//     program that got an error from its every call would only crash later
//     and less clearly ("Bad system call" is what its parent sees).
//  2. The number, by binary search over ranges of equal treatment.
//  3. Where the table has a condition, the arguments. Every argument looked
//     at is 32 or 16 bits wide in the kernel, so only the low word is
//     compared: comparing 64 bits would let a caller pass by setting bits that
//     the kernel then drops.
//
// The kernel evaluates steps 1 and 2 once for each number when the filter is
// loaded and remembers plain permits in a bitmap, so that calls without a
// condition cost next to nothing.
//
// # What a refusal answers
//
//   - EPERM: the kernel has the call, the sandbox does not permit it. Also the
//     x32 numbers on amd64 (bit 30), whatever the kernel was built with.
//   - ENOSYS: the call is treated as not existing. So are all numbers that
//     this table does not know, and the calls that libraries try before an
//     older equivalent: with EPERM they would give up instead of falling back.
//     clone3 and openat2 must be here because a filter cannot follow the
//     pointers that hold their flags and mode.
//   - EAFNOSUPPORT and EPROTONOSUPPORT from socket and socketpair, EINVAL from
//     prctl and renameat2, ENOPROTOOPT from setsockopt, EOPNOTSUPP from sends
//     of urgent data: what a kernel built without the thing answers, which
//     programs know how to take.
//
// All but ENOSYS and the section [quiet] go to the supervisor by seccomp user
// notification, who reports them and gives their errno: honest programs probe, and
// are not reported. While a call waits to be received, a signal whose handler does
// not restart calls interrupts it: EINTR. Filter.Silent answers by itself.
package seccomp

//go:generate go run ./generate
