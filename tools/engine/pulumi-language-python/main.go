// Command pulumi-language-python lets the Pulumi engine run Python programs, policy packs and
// plugins. It stands in where the vendor's own host, which is published only inside the CLI's
// archive and not as a Go module, cannot be downloaded.
//
// The engine starts it with its own address as the only argument, reads the port of the language
// server from the first line on stdout, and calls it over gRPC:
// https://pulumi-developer-docs.readthedocs.io/latest/docs/references/language-runtime.html
//
// What is covered: running programs (up, preview, refresh, destroy), policy packs and Python
// plugins, the list of required packages, `pulumi about`. Generating code is not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/cmdutil"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/logging"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// Often enough that a killed engine does not leave hosts behind, rare enough to cost nothing.
const engineCheckInterval = 30 * time.Second

func main() {
	if err := serve(); err != nil {
		fmt.Fprintf(os.Stderr, "pulumi-language-python: %v\n", err)
		os.Exit(1)
	}
}

// serve answers the engine until it goes away, or SIGINT or SIGTERM arrives. All Python processes
// have ended when it returns.
func serve() error {
	tracing := flag.String("tracing", "", "address of the engine's trace collector")
	flag.Parse()
	if flag.NArg() < 1 {
		return errors.New("expected the engine's address: this program is started by pulumi")
	}
	engineAddress := flag.Arg(0)
	logging.InitLogging(false, 0, false) // takes -v and --logtostderr, which it has declared
	cmdutil.InitTracing("pulumi-language-python", "pulumi-language-python", *tracing)

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := rpcutil.Healthcheck(ctx, engineAddress, engineCheckInterval, stop); err != nil {
		return fmt.Errorf("watching the engine at %s: %w", engineAddress, err)
	}
	host, err := newLanguageHost(ctx, engineAddress, *tracing)
	if err != nil {
		return err
	}
	cancel := make(chan bool)
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel: cancel,
		Init: func(server *grpc.Server) error {
			pulumirpc.RegisterLanguageRuntimeServer(server, host)
			return nil
		},
		Options: rpcutil.TracingServerInterceptorOptions(nil),
	})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { close(cancel) })

	fmt.Println(handle.Port) // the engine waits for this line
	return <-handle.Done
}
