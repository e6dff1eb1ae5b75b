package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/table"
)

func newExport() *cobra.Command {
	return group("export", "Write all leads, or all that happened, to a file", newExportLeads(), newExportEvents())
}

// exportFlags say where an export goes.
type exportFlags struct{ out, format, since string }

func (f *exportFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.out, "out", "o", "-", "file to write; - for standard output")
	cmd.Flags().StringVar(&f.format, "format", "csv", "csv (safe to open in a spreadsheet) or parquet")
}

func newExportLeads() *cobra.Command {
	f := &exportFlags{}
	cmd := &cobra.Command{Use: "leads", Short: "Write every lead: who it is, where it came from, what it allowed", Args: noArgs}
	a := addrFlags(cmd)
	f.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return exportTo(cmd, f, a, func(ctx context.Context, c ingestv1.IngestServiceClient) (func() (leadLine, error), error) {
			s, err := c.ExportLeads(ctx, &ingestv1.ExportLeadsRequest{})
			return lines(s, err, leadLineOf)
		})
	}
	return cmd
}

func newExportEvents() *cobra.Command {
	f := &exportFlags{}
	cmd := &cobra.Command{Use: "events", Short: "Write everything that leads did and told, in the order of the log", Args: noArgs}
	a := addrFlags(cmd)
	f.register(cmd)
	cmd.Flags().StringVar(&f.since, "since", "", "only what was recorded from this day on, like 2026-03-31")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		req := &ingestv1.ExportEventsRequest{}
		if f.since != "" {
			at, err := time.Parse(time.DateOnly, f.since)
			if err != nil {
				return fmt.Errorf("--since %q: expected a day like 2026-03-31", f.since)
			}
			req.Since = timestamppb.New(at)
		}
		return exportTo(cmd, f, a, func(ctx context.Context, c ingestv1.IngestServiceClient) (func() (eventLine, error), error) {
			s, err := c.ExportEvents(ctx, req)
			return lines(s, err, eventLineOf)
		})
	}
	return cmd
}

// lines reads a stream as rows of a table.
func lines[M, L any](s grpc.ServerStreamingClient[M], err error, lineOf func(*M) (L, error)) (func() (L, error), error) {
	if err != nil {
		return nil, err
	}
	return func() (line L, err error) {
		m, err := s.Recv()
		if err != nil {
			return line, err //nolint:wrapcheck // io.EOF must stay what it is
		}
		return lineOf(m)
	}, nil
}

// exportTo writes what next gives. A file appears under its name only when it
// is whole.
func exportTo[L any](cmd *cobra.Command, f *exportFlags, a *addrs, open func(context.Context, ingestv1.IngestServiceClient) (func() (L, error), error)) (err error) {
	if f.format != "csv" && f.format != "parquet" {
		return fmt.Errorf("--format %q: expected csv or parquet", f.format)
	}
	p, err := a.dial()
	if err != nil {
		return err
	}
	defer p.close()
	next, err := open(cmd.Context(), p.ingest)
	if err != nil {
		return fmt.Errorf("ask ingest: %w", err)
	}
	if f.out == "-" {
		_, err = copyLines(cmd.OutOrStdout(), f.format, next)
		return err
	}
	file, err := os.OpenFile(f.out+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("open export: %w", err)
	}
	n, err := copyLines(file, f.format, next)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	if err := os.Rename(file.Name(), f.out); err != nil {
		return fmt.Errorf("finish export: %w", err)
	}
	return say(cmd, "%d rows in %s\n", n, f.out)
}

func copyLines[L any](w io.Writer, format string, next func() (L, error)) (n int, err error) {
	var rows table.Writer[L]
	if format == "parquet" {
		rows = table.Parquet[L](w)
	} else if rows, err = table.CSV[L](w); err != nil {
		return 0, err
	}
	for {
		line, err := next()
		if errors.Is(err, io.EOF) {
			return n, rows.Close()
		}
		if err != nil {
			return n, fmt.Errorf("ask ingest: %w", err)
		}
		if err := rows.Write(line); err != nil {
			return n, err
		}
		n++
	}
}
