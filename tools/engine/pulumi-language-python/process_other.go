//go:build !linux

package main

import "syscall"

// childAttributes: an own process group. Other kernels cannot tie a child's life to ours.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
