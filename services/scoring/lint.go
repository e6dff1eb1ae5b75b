package scoring

import (
	"fmt"
	"os"

	"github.com/nurturehq/nurture/services/scoring/internal/model"
)

// Lint says what is wrong with a model file, with line and column; nil when
// scoring can use it.
func Lint(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read model: %w", err)
	}
	_, err = model.Parse(file, raw)
	return err
}
