package spawn

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const six = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

// BenchmarkStart starts /bin/true in six namespaces, beside what the standard
// library takes, with a small and a large heap.
func BenchmarkStart(b *testing.B) {
	for _, mib := range []int{1, 256} {
		heap := make([]byte, mib<<20)
		for i := 0; i < len(heap); i += 4096 {
			heap[i] = 1
		}
		null, err := os.Open(os.DevNull)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("here/%dMiB", mib), func(b *testing.B) {
			for b.Loop() {
				var p Program
				p.Descriptors([]*os.File{null, null, null})
				p.Execute("/bin/true", []string{"true"}, nil)
				c, err := p.Start(six, -1)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				_ = c.Wait()
				b.StartTimer()
			}
		})
		b.Run(fmt.Sprintf("standard/%dMiB", mib), func(b *testing.B) {
			for b.Loop() {
				c, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{
					Files: []*os.File{null, null, null}, Sys: &syscall.SysProcAttr{Cloneflags: six}})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				_, _ = c.Wait()
				b.StartTimer()
			}
		})
		runtime.KeepAlive(heap)
	}
}
