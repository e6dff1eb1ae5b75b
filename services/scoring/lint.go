package scoring

import (
	"fmt"
	"os"

	"github.com/nurturehq/nurture/pkg/expr"

	"github.com/nurturehq/nurture/services/scoring/internal/model"
)

// Lint reads a model file as scoring would, and gives its conditions. The error
// says what is wrong with it, with line and column.
func Lint(file string) ([]*expr.Program, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	m, err := model.Parse(file, raw)
	if err != nil {
		return nil, err
	}
	return m.Conditions, nil
}
