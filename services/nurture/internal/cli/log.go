package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/nurturehq/nurture/pkg/telemetry"
)

// logFlag adds --log. Its default keeps the terminal for the funnel.
func logFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("log", "error", "least severe log lines on standard error: debug, info, warn or error")
}

// openLog starts logs, traces and metrics of the process.
func openLog(cmd *cobra.Command, level string) (*slog.Logger, func(), error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, fmt.Errorf("--log is %q: use debug, info, warn or error", level)
	}
	t, shutdown, err := telemetry.Start(cmd.Context(), telemetry.Options{Service: "nurture", Level: l, Out: cmd.ErrOrStderr()})
	if err != nil {
		return nil, nil, err
	}
	redis.SetLogger(redisLog{t.Log})
	stop := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), 3*time.Second)
		defer cancel()
		if err := shutdown(ctx); err != nil {
			t.Log.Warn("stop telemetry", "error", err)
		}
	}
	return t.Log, stop, nil
}

// redisLog sends what the Redis client would print to the log.
type redisLog struct{ log *slog.Logger }

// Printf logs a message of the client.
func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.WarnContext(ctx, "redis client", "message", fmt.Sprintf(format, v...))
}
