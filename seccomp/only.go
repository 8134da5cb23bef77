package seccomp

import "nacre/fault"

// Only is the filter that lets nothing through but these calls, each under the
// condition that the base list has for it: for a process of Nacre's own.
func Only(arch Arch, names []string) (Filter, error) {
	t, err := NewTable(Options{Arch: arch, Loopback: true})
	if err != nil {
		return Filter{}, err
	}
	kept := make(map[string]Call, len(names))
	for _, name := range names {
		c, exists := t.Call(name)
		if exists && !c.Permit {
			return Filter{}, fault.New(fault.Internal, "%s is not in the base list", name)
		}
		kept[name] = c
	}
	t.calls, t.spans = kept, nil // the zero rule refuses
	t.layout()
	return t.Filter(), nil
}
