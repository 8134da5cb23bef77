package blueprint

// Socket is one that init opens in the sandbox's own network namespace and passes
// out, before there is an agent. Whoever has it sets that network up from outside:
// it can reach nothing but that namespace, which has no other interface than its
// loopback.
type Socket struct{ Domain, Type, Protocol int }
