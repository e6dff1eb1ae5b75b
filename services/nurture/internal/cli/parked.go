package cli

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nurturehq/nurture/pkg/bus"
)

func newParked() *cobra.Command {
	return group("parked", "Look at the messages that could not be processed, and decide about them",
		newParkedList(), newParkedShow(), newParkedRedrive(), newParkedDismiss())
}

func newParkedList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List what is parked, oldest first", Args: noArgs}
	url := natsFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b, err := openBus(cmd.Context(), *url)
		if err != nil {
			return err
		}
		defer b.Close()
		list, err := b.ListParked(cmd.Context())
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
		p := &printer{w: w}
		if len(list) == 0 {
			p.f("nothing is parked\n")
		} else {
			p.f("ID\tSERVICE\tREASON\tLEAD\tFROM\tTRIES\tPARKED\tERROR\n")
		}
		for _, m := range list {
			p.f("%d\t%s\t%s\t%s\t%s/%d\t%d\t%s\t%s\n", m.Seq, m.GetService(), m.GetReason(), m.GetLeadId(),
				m.GetStream(), m.GetSeq(), m.GetAttempts(), m.GetParkedAt().AsTime().Format(time.RFC3339), saidOf(m))
		}
		return errors.Join(p.err, w.Flush())
	}
	return cmd
}

func newParkedShow() *cobra.Command {
	cmd := &cobra.Command{Use: "show <id>", Short: "Show one parked message with its headers and payload", Args: wantArgs("id")}
	url := natsFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withParked(cmd, *url, args[0], func(b *bus.Bus, seq uint64) error {
			m, err := b.GetParked(cmd.Context(), seq)
			if err != nil {
				return err
			}
			return printParked(&printer{w: cmd.OutOrStdout()}, m)
		})
	}
	return cmd
}

func printParked(p *printer, m bus.ParkedMsg) error {
	p.f("parked %d by %s: %s after %d tries\n", m.Seq, m.GetService(), m.GetReason(), m.GetAttempts())
	p.f("error    %s\n", m.GetError())
	p.f("lead     %s\n", m.GetLeadId())
	p.f("read at  %s/%d on %s\n", m.GetStream(), m.GetSeq(), m.GetSubject())
	p.f("times    message %s, first try %s, parked %s\n", m.GetMessageTime().AsTime().Format(time.RFC3339Nano),
		m.GetFirstAt().AsTime().Format(time.RFC3339Nano), m.GetParkedAt().AsTime().Format(time.RFC3339Nano))
	names := make([]string, 0, len(m.GetHeaders()))
	for name := range m.GetHeaders() {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		p.f("header   %s: %s\n", name, m.GetHeaders()[name])
	}
	p.f("payload  %d bytes: %q\n", len(m.GetData()), m.GetData())
	if len(m.GetSealed()) > 0 {
		p.f("sealed   %d bytes: see it with `nurture rejects show %d`\n", len(m.GetSealed()), m.Seq)
	}
	return p.err
}

// saidOf is the error of a parked message as far as anybody may read it.
func saidOf(m bus.ParkedMsg) string {
	if len(m.GetSealed()) > 0 {
		return "(sealed: nurture rejects show)"
	}
	return m.GetError()
}

func newParkedRedrive() *cobra.Command {
	cmd := &cobra.Command{
		Use: "redrive <id|all>", Short: "Send a parked message back to the service that gave up on it", Args: wantArgs("id"),
	}
	url := natsFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[0] == "all" {
			return redriveAll(cmd, *url)
		}
		return withParked(cmd, *url, args[0], func(b *bus.Bus, seq uint64) error {
			if err := b.Redrive(cmd.Context(), seq); err != nil {
				return err
			}
			return say(cmd, "redriven %d\n", seq)
		})
	}
	return cmd
}

// redriveAll sends everything back but what only a person can settle, and what
// sources and upstreams sent: `nurture rejects` reads that again.
func redriveAll(cmd *cobra.Command, url string) error {
	b, err := openBus(cmd.Context(), url)
	if err != nil {
		return err
	}
	defer b.Close()
	list, err := b.ListParked(cmd.Context())
	if err != nil {
		return err
	}
	redriven, left := 0, 0
	for _, m := range list {
		if m.GetReason() == bus.ReasonAmbiguous || m.GetSource() != "" || len(m.GetSealed()) > 0 {
			left++
			continue
		}
		if err := b.Redrive(cmd.Context(), m.Seq); err != nil {
			return err
		}
		redriven++
	}
	return say(cmd, "redriven %d, left %d ambiguous touches and rejects for a person to settle\n", redriven, left)
}

func newParkedDismiss() *cobra.Command {
	cmd := &cobra.Command{Use: "dismiss <id>", Short: "Take a parked message off the list for good", Args: wantArgs("id")}
	url := natsFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withParked(cmd, *url, args[0], func(b *bus.Bus, seq uint64) error {
			if _, err := b.GetParked(cmd.Context(), seq); err != nil {
				return err
			}
			if err := b.Dismiss(cmd.Context(), seq); err != nil {
				return err
			}
			return say(cmd, "dismissed %d\n", seq)
		})
	}
	return cmd
}

// withParked opens the log and reads the entry's number.
func withParked(cmd *cobra.Command, url, id string, do func(*bus.Bus, uint64) error) error {
	seq, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not the number of a parked message: see the first column of `nurture parked list`", id)
	}
	b, err := openBus(cmd.Context(), url)
	if err != nil {
		return err
	}
	defer b.Close()
	if err = do(b, seq); errors.Is(err, bus.ErrNoMessage) {
		return fmt.Errorf("there is no parked message %d: see `nurture parked list`", seq)
	}
	return err
}

func say(cmd *cobra.Command, format string, args ...any) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), format, args...)
	return err
}
