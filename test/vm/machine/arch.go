package machine

// arch is what differs between the architectures of machines.
type arch struct {
	qemu    program
	machine []string // qemu's arguments
	console string
}

var arches = map[string]arch{
	"amd64": {
		qemu: program{"qemu-system-x86_64", "qemu-system-x86"},
		// qemu 7.2 emulates cmpxchg16b wrongly, with which kernel 6.12 manages
		// its memory: it panics where the processor claims to have it. It also
		// panics on the model "max".
		machine: []string{"-machine", "q35", "-cpu", "Nehalem,-cx16"},
		console: "ttyS0",
	},
	"arm64": {
		qemu: program{"qemu-system-aarch64", "qemu-system-arm"},
		// A real processor's model: emulating the newest one's pointer
		// authentication makes everything several times slower.
		machine: []string{"-machine", "virt", "-cpu", "cortex-a72"},
		console: "ttyAMA0",
	},
}
