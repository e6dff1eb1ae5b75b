package program

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Book is what the journey decides by: the programs that leads may enter now,
// and every version that somebody is still on.
type Book struct {
	// ID is the content hash of the list of programs and of Review. It is kept
	// in the cause of every decision, so that the decision can be verified after
	// the programs have changed.
	ID string
	// Current are the programs leads may enter, highest priority first.
	Current []*Program
	// Review is after how long a lead without any program is looked at again.
	Review time.Duration
	// Version finds a program by its content hash; nil when it is not loaded.
	Version func(hash string) *Program
}

// Program finds a current program by name; nil when there is none.
func (b *Book) Program(name string) *Program {
	i := slices.IndexFunc(b.Current, func(p *Program) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return b.Current[i]
}

// Sort orders programs as a book wants them: by priority, then by name.
func Sort(programs []*Program) {
	slices.SortFunc(programs, func(a, b *Program) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Name, b.Name))
	})
}

// Index is a book as it is stored: the versions by their hashes.
type Index struct {
	Versions []string      `json:"versions"`
	Review   time.Duration `json:"review"`
}

// NewIndex lists programs that were sorted by Sort.
func NewIndex(programs []*Program, review time.Duration) Index {
	ix := Index{Review: review}
	for _, p := range programs {
		ix.Versions = append(ix.Versions, p.Version)
	}
	return ix
}

// Encode gives the bytes that are stored and hashed.
func (ix Index) Encode() ([]byte, error) {
	raw, err := json.Marshal(ix)
	if err != nil {
		return nil, fmt.Errorf("encode list of programs: %w", err)
	}
	return raw, nil
}

// DecodeIndex reads what Encode wrote.
func DecodeIndex(raw []byte) (Index, error) {
	var ix Index
	if err := json.Unmarshal(raw, &ix); err != nil {
		return Index{}, fmt.Errorf("decode stored list of programs: %w", err)
	}
	return ix, nil
}
