package store

import (
	"bytes"
	"errors"
	"fmt"
)

// tree walks through one bucket of an image.
type tree struct {
	*image
	previous []byte // the key before, to check the order
	begun    bool
	found    func(flags uint32, key, value []byte) error // gets each element, in order
}

// walk visits the tree below a page. First is the key that the branch above has for it; nil for the root.
//
// Keys must rise, and a branch must have the first key of each page below. Bbolt finds a page by this key when it
// replaces it, and would otherwise keep the old one, too.
func (t *tree) walk(id uint64, first []byte, depth int) error {
	if depth > deepest {
		return errors.New("its pages are nested too deeply")
	}
	p, err := t.load(id, depth)
	if err != nil {
		return err
	}
	switch p.flags {
	case leafPage:
		return t.leaf(p, first, id)
	case branchPage:
		return t.branch(p, first, id, depth)
	}
	return fmt.Errorf("page %d is damaged: no page has the type %#x", id, p.flags)
}

func (t *tree) branch(p page, first []byte, id uint64, depth int) error {
	if p.count == 0 {
		return fmt.Errorf("page %d is damaged: it leads nowhere", id)
	}
	for n := range p.count {
		e, err := p.element(n)
		if err != nil {
			return fmt.Errorf("page %d is damaged: %w", id, err)
		}
		key, err := e.span(native.Uint32(e.header), native.Uint32(e.header[4:]), 0)
		if err == nil && n == 0 && first != nil && !bytes.Equal(key, first) {
			err = errOtherKey
		}
		if err != nil {
			return fmt.Errorf("page %d is damaged: %w", id, err)
		}
		if err := t.walk(native.Uint64(e.header[8:]), key, depth+1); err != nil {
			return err
		}
	}
	return nil
}

var (
	errOtherKey = errors.New("it begins with another key than the page that leads to it says")
	errOrder    = errors.New("its keys are out of order")
	errOutside  = errors.New("an element reaches beyond it")
	errNoKey    = errors.New("an element has no key")
)

// leaf hands the elements of a leaf over.
func (t *tree) leaf(p page, first []byte, id uint64) error {
	if p.count == 0 && first != nil {
		return fmt.Errorf("page %d is damaged: it is empty", id)
	}
	for n := range p.count {
		e, err := p.element(n)
		if err != nil {
			return fmt.Errorf("page %d is damaged: %w", id, err)
		}
		key, value, err := e.leaf()
		switch {
		case err != nil:
		case n == 0 && first != nil && !bytes.Equal(key, first):
			err = errOtherKey
		case t.begun && bytes.Compare(t.previous, key) >= 0:
			err = errOrder
		}
		if err != nil {
			return fmt.Errorf("page %d is damaged: %w", id, err)
		}
		t.begun, t.previous = true, append(t.previous[:0], key...)
		if err := t.found(native.Uint32(e.header), key, value); err != nil {
			return fmt.Errorf("page %d: %w", id, err)
		}
	}
	return nil
}

// element is the head of an element of a page, and all that follows it there.
type element struct {
	header  []byte
	between int // bytes from the head to the first data that the page may have
}

func (p page) element(n int) (element, error) {
	at, table := pageHeader+n*elementSize, pageHeader+p.count*elementSize
	if table > len(p.body) {
		return element{}, errOutside
	}
	return element{header: p.body[at:], between: table - at}, nil
}

// span returns the bytes of an element that begin at an offset and have a length, after a number of others.
func (e element) span(offset, length, skip uint32) ([]byte, error) {
	begin := uint64(offset) + uint64(skip)
	end := begin + uint64(length)
	switch {
	case int64(offset) < int64(e.between) || end > uint64(len(e.header)):
		return nil, errOutside
	case skip == 0 && length == 0:
		return nil, errNoKey
	}
	return e.header[begin:end], nil
}

// leaf returns key and value of an element of a leaf.
func (e element) leaf() (key, value []byte, err error) {
	offset, keySize, valueSize := native.Uint32(e.header[4:]), native.Uint32(e.header[8:]), native.Uint32(e.header[12:])
	if key, err = e.span(offset, keySize, 0); err != nil {
		return nil, nil, err
	}
	value, err = e.span(offset, valueSize, keySize)
	return key, value, err
}
