// Package daemon runs a program until it is told to stop, and closes what it
// opened in the opposite order.
//
// A main looks like this:
//
//	func main() { os.Exit(daemon.Run(context.Background(), run)) }
//
//	func run(ctx context.Context) (err error) {
//		var closers daemon.Closers
//		defer closers.CloseInto(&err)
//		conn, err := open()
//		if err != nil {
//			return err
//		}
//		closers.Add("connection", func(context.Context) error { return conn.Close() })
//		return serve(ctx, conn)
//	}
//
// The first SIGINT or SIGTERM ends ctx, which asks everything to drain. A
// second one kills the process at once, as if nobody had listened.
package daemon
