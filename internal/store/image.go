package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// image reads a file of bbolt without bbolt, and without a mapping. Bbolt believes what it maps: of a damaged file, its
// Open and its Check may read foreign memory, follow pages in a circle until the stack is full, or allocate without
// bound, and none of these can be recovered from. So an image checks all that bbolt relies on before bbolt sees the
// file. It is at least as strict as bbolt's Check, which a test shows.
//
// The layout is that of go.etcd.io/bbolt/internal/common, version 2. Its numbers have the byte order of the machine.
type image struct {
	file     io.ReaderAt
	size     int64 // of the file
	pageSize int64
	meta     meta
	used     []byte // by page: 1 if it was met
	buffers  [][]byte
}

const (
	boltMagic      = 0xED0CDAED
	boltVersion    = 2
	pageHeader     = 16
	elementSize    = 16
	metaSize       = 64
	bucketHeader   = 16
	noFreelist     = 1<<64 - 1
	branchPage     = 0x01
	leafPage       = 0x02
	metaPage       = 0x04
	freelistPage   = 0x10
	bucketElement  = 0x01
	deepest        = 64 // levels of a tree; each has at least two branches
	smallestPage   = 1 << 10
	largestPage    = 1 << 16
	manyFreePages  = 0xFFFF // as a count: the count comes before the list
	bytesPerPageID = 8
)

var native = binary.NativeEndian

// meta is one of the two pages with which everything begins. Transactions write them in turn.
type meta struct {
	pageSize    int64
	root        uint64 // page of the root bucket
	freelist    uint64 // page of the list of free pages
	pages       uint64 // how many pages are in use or free
	transaction uint64
}

// newImage reads both meta pages. Both must be good, and of consecutive transactions: if the newer one is damaged,
// bbolt silently uses the older one and forgets the last transaction. A crash damages none, because what a meta page
// has is smaller than what disks write at once.
func newImage(file io.ReaderAt, size int64) (*image, error) {
	i := &image{file: file, size: size}
	first, err := i.readMeta(0)
	if err != nil {
		return nil, err
	}
	second, err := i.readMeta(first.pageSize)
	if err != nil {
		return nil, err
	}
	older, newer := min(first.transaction, second.transaction), max(first.transaction, second.transaction)
	if first.pageSize != second.pageSize || newer-older != 1 {
		return nil, errors.New("its two meta pages do not fit together: one of them is from an earlier time")
	}
	i.meta, i.pageSize = first, first.pageSize
	if second.transaction > first.transaction {
		i.meta = second
	}
	if i.meta.pages < 4 || i.meta.pages > uint64(size/i.pageSize) {
		return nil, fmt.Errorf("it has %d bytes, and %d pages of %d bytes should be there", size, i.meta.pages, i.pageSize)
	}
	i.used = make([]byte, i.meta.pages)
	i.used[0], i.used[1] = 1, 1
	return i, nil
}

func (i *image) readMeta(offset int64) (meta, error) {
	b := make([]byte, pageHeader+metaSize)
	if err := i.read(b, offset); err != nil {
		return meta{}, err
	}
	page, b := b[:pageHeader], b[pageHeader:]
	if native.Uint32(b) != boltMagic || native.Uint32(b[4:]) != boltVersion {
		return meta{}, errors.New("it is no file of a store, or its beginning is damaged")
	}
	sum := fnv.New64a()
	sum.Write(b[:56])
	m := meta{
		pageSize:    int64(native.Uint32(b[8:])),
		root:        native.Uint64(b[16:]),
		freelist:    native.Uint64(b[32:]),
		pages:       native.Uint64(b[40:]),
		transaction: native.Uint64(b[48:]),
	}
	wrongSize := m.pageSize < smallestPage || m.pageSize > largestPage || m.pageSize&(m.pageSize-1) != 0
	if native.Uint64(b[56:]) != sum.Sum64() || wrongSize || native.Uint16(page[8:]) != metaPage ||
		native.Uint64(page) != uint64(offset/m.pageSize) {
		return meta{}, errors.New("one of its meta pages is damaged")
	}
	return m, nil
}

// read fills a buffer from the file.
func (i *image) read(b []byte, offset int64) error {
	_, err := i.file.ReadAt(b, offset)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("it ends after %d bytes, in the middle of a page", i.size)
	}
	return err
}

// use marks pages as met. Each page must be met exactly once.
func (i *image) use(first, count uint64) error {
	if first < 2 || first >= i.meta.pages || count > i.meta.pages-first {
		return fmt.Errorf("page %d is not among its %d pages", first, i.meta.pages)
	}
	for id := first; id < first+count; id++ {
		if i.used[id] != 0 {
			return fmt.Errorf("page %d is used twice", id)
		}
		i.used[id] = 1
	}
	return nil
}

// page is one page with those that continue it.
type page struct {
	flags uint16
	count int
	body  []byte // all of it, header included
}

// load reads a page and marks it as used. What it returns is good until the next load at the same depth.
func (i *image) load(id uint64, depth int) (page, error) {
	for len(i.buffers) <= depth {
		i.buffers = append(i.buffers, make([]byte, i.pageSize))
	}
	if err := i.use(id, 1); err != nil {
		return page{}, err
	}
	b := i.buffers[depth][:i.pageSize]
	if err := i.read(b, int64(id)*i.pageSize); err != nil {
		return page{}, err
	}
	if native.Uint64(b) != id {
		return page{}, fmt.Errorf("page %d is damaged: it says to be page %d", id, native.Uint64(b))
	}
	if more := uint64(native.Uint32(b[12:])); more > 0 {
		if err := i.use(id+1, more); err != nil {
			return page{}, err
		}
		whole := int64(more+1) * i.pageSize
		if int64(cap(b)) < whole {
			b = append(make([]byte, 0, whole), b...)
		}
		b = b[:whole]
		i.buffers[depth] = b
		if err := i.read(b[i.pageSize:], int64(id+1)*i.pageSize); err != nil {
			return page{}, err
		}
	}
	return page{flags: native.Uint16(b[8:]), count: int(native.Uint16(b[10:])), body: b}, nil
}

// readFreelist marks the pages that are free.
func (i *image) readFreelist() error {
	if i.meta.freelist == noFreelist {
		return errors.New("it has no list of free pages")
	}
	p, err := i.load(i.meta.freelist, 0)
	if err != nil {
		return err
	}
	count, list := uint64(p.count), p.body[pageHeader:]
	if p.flags != freelistPage {
		return errors.New("its list of free pages is damaged")
	}
	if count == manyFreePages {
		count, list = native.Uint64(list), list[bytesPerPageID:]
	}
	if count > uint64(len(list)/bytesPerPageID) {
		return errors.New("its list of free pages is longer than its page")
	}
	for n := range count {
		if err := i.use(native.Uint64(list[n*bytesPerPageID:]), 1); err != nil {
			return fmt.Errorf("its list of free pages is damaged: %w", err)
		}
	}
	return nil
}

// unused returns an error if some page was not met.
func (i *image) unused() error {
	if id := bytes.IndexByte(i.used, 0); id >= 0 {
		return fmt.Errorf("page %d is neither used nor free", id)
	}
	return nil
}
