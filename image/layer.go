package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"math"
	"net"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"

	"nacre/fault"
)

// zstdMemory bounds the window that a compressed stream may ask us to keep.
const zstdMemory = 128 << 20

// apply unpacks the layer, comparing both digests: of the blob as it came and
// of the tar that it unpacks to.
func (l layer) apply(ctx context.Context, u *unpacker, m *meter) error {
	in, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	blob := newCounting(ctx, in)
	blob.source, blob.limit, blob.tick = true, l.size, m.add
	u.whiteouts, u.seen = true, map[uint64]struct{}{}
	diffID, err := u.stream(blob)
	if err == nil || fault.KindOf(err) == fault.Invalid {
		_, rest := io.Copy(io.Discard, blob)
		if rest == nil && l.blob.Hex != "" && blob.hash() != l.blob {
			return tampered(u.image, l.blob, blob.hash()) // rather than what that broke
		}
		if err == nil && rest != nil {
			err = u.wrap(rest, "a layer cannot be read")
		}
	}
	if err == nil && diffID != l.diffID {
		err = tampered(u.image, l.diffID, diffID)
	}
	return err
}

// stream unpacks a tar, compressed or not, and returns the tar's digest.
func (u *unpacker) stream(in io.Reader) (v1.Hash, error) {
	plain, err := decompress(in)
	if err != nil {
		return v1.Hash{}, u.wrap(err, "it cannot be unpacked")
	}
	defer plain.Close()
	sum := newCounting(context.Background(), budgetReader{u.budget, plain})
	if err := u.all(tar.NewReader(sum)); err != nil {
		return v1.Hash{}, err
	}
	if _, err := io.Copy(io.Discard, sum); err != nil { // padding after the tar's end
		return v1.Hash{}, u.wrap(err, "it cannot be unpacked")
	}
	return sum.hash(), nil
}

// decompress goes by the first bytes, not by what a document says of them.
func decompress(r io.Reader) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(in)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(math.MaxInt64), zstd.WithDecoderMaxWindow(zstdMemory))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return io.NopCloser(in), nil
}

// countingReader counts, hashes, limits and cancels a stream.
type countingReader struct {
	ctx    context.Context
	in     io.Reader
	source bool // errors are of the image's source
	n      int64
	limit  int64 // none if negative
	sum    hash.Hash
	tick   func(int)
}

func newCounting(ctx context.Context, in io.Reader) *countingReader {
	return &countingReader{ctx: ctx, in: in, limit: -1, sum: sha256.New()}
}

// Read implements io.Reader.
func (c *countingReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.in.Read(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	if c.tick != nil {
		c.tick(n)
	}
	if c.limit >= 0 && c.n > c.limit {
		return n, fault.New(fault.Tampered, "a layer is longer than the %d bytes promised", c.limit)
	}
	if c.source && err != nil && err != io.EOF && c.ctx.Err() == nil {
		err = explainRead(err)
	}
	return n, err
}

// explainRead tells a broken connection from bytes that are not as promised.
func explainRead(err error) error {
	var network net.Error
	var known *fault.Fault
	switch {
	case errors.As(err, &known), errors.Is(err, errBytes):
		return err
	case errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return fault.Wrap(fault.NotFound, err, "the connection broke").WithHint("try again")
	}
	return fault.Wrap(fault.Tampered, err, "the source is not as promised")
}

func (c *countingReader) hash() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(c.sum.Sum(nil))}
}

// budget is what is left of the limits, over all layers.
type budget struct {
	limits  Options
	stream  int64 // of unpacked tar, bounding what is read
	bytes   int64 // of files, bounding what is written (a sparse file is short in the tar)
	entries int64
}

func newBudget(o Options) *budget {
	headers := o.MaxEntries * 4096 // for the tar's own blocks
	return &budget{limits: o, stream: o.MaxBytes + headers, bytes: o.MaxBytes, entries: o.MaxEntries}
}

var errBytes = errors.New("it unpacks to more bytes than allowed")

// budgetReader charges what is read.
type budgetReader struct {
	b  *budget
	in io.Reader
}

// Read implements io.Reader.
func (r budgetReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if r.b.stream -= int64(n); r.b.stream < 0 {
		return n, errBytes
	}
	return n, err
}

// readKind classifies an error of reading or writing an image.
func readKind(err error) fault.Kind {
	var f *fault.Fault
	switch {
	case errors.As(err, &f):
		return f.Kind
	case errors.Is(err, errBytes), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT),
		errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.EROFS):
		return fault.Exhausted
	}
	return fault.Invalid
}
