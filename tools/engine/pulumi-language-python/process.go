package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Time for a program to end by itself after SIGTERM. The engine waits 5 s for this process.
const stopGrace = 3 * time.Second

var errCancelled = errors.New("cancelled by the engine")

// supervise runs cmd to its end and returns its exit code (128 + signal for one that was killed).
//
// The child gets a process group of its own: the engine interrupts this host's whole group, and
// an interrupted Python prints traces and stalls for 5 s. When ctx ends the child's group gets
// SIGTERM, what is left of it SIGKILL, and errCancelled is returned.
func supervise(ctx context.Context, cmd *exec.Cmd) (int, error) {
	// The kernel sends a child its "parent died" signal when the *thread* that started it ends.
	// Go ends threads at will, unless a goroutine holds on to one.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	cmd.SysProcAttr = childAttributes()
	cmd.Cancel = func() error { return signalGroup(cmd, syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	err := cmd.Run()
	if ctx.Err() != nil {
		_ = signalGroup(cmd, syscall.SIGKILL) // fails when all have ended, which is what we want
		return 0, errCancelled
	}
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return 0, nil
	case errors.As(err, &exit):
		if state, ok := exit.Sys().(syscall.WaitStatus); ok && state.Signaled() {
			return 128 + int(state.Signal()), nil
		}
		return exit.ExitCode(), nil
	default:
		return 0, fmt.Errorf("running %s: %w", cmd.Path, err)
	}
}

func signalGroup(cmd *exec.Cmd, number syscall.Signal) error {
	if cmd.Process == nil {
		return nil
	}
	return syscall.Kill(-cmd.Process.Pid, number)
}
