package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/version"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
)

const (
	// The script that sets the program's configuration and runs it, from the SDK's module.
	launcher = "pulumi-language-python-exec"
	// The launcher's exit code for "failed, and the user has been told already".
	bailExitCode = 32
)

// languageHost answers the engine's calls. Calls may run at the same time: it holds no state
// that changes.
type languageHost struct {
	pulumirpc.UnimplementedLanguageRuntimeServer

	running       context.Context // done when this process is to end
	shutdown      context.CancelFunc
	engineAddress string
	tracing       string // address of the trace collector, or empty
	launcherPath  string
}

// newLanguageHost fails when the launcher is neither beside this executable nor on PATH.
func newLanguageHost(
	ctx context.Context, engineAddress, tracing string,
) (*languageHost, error) {
	path, err := findLauncher()
	if err != nil {
		return nil, err
	}
	running, shutdown := context.WithCancel(ctx)
	return &languageHost{
		running: running, shutdown: shutdown,
		engineAddress: engineAddress, tracing: tracing, launcherPath: path,
	}, nil
}

func findLauncher() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), launcher)
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	path, err := exec.LookPath(launcher)
	if err != nil {
		return "", fmt.Errorf("%s: expected beside pulumi-language-python or on PATH", launcher)
	}
	return path, nil
}

// GetPluginInfo tells the version, which is that of the CLI: both come from one build.
func (host *languageHost) GetPluginInfo(
	context.Context, *emptypb.Empty,
) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: version.Version}, nil
}

// GetRequiredPackages lists the resource plugins of all SDKs in the program's environment.
func (host *languageHost) GetRequiredPackages(
	ctx context.Context, req *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	python, err := resolve(req.GetInfo())
	if err != nil {
		return nil, err
	}
	packages, err := requiredPackages(ctx, python)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.GetRequiredPackagesResponse{Packages: packages}, nil
}

// About tells `pulumi about` which Python runs the program.
func (host *languageHost) About(
	ctx context.Context, req *pulumirpc.AboutRequest,
) (*pulumirpc.AboutResponse, error) {
	python, err := resolve(req.GetInfo())
	if err != nil {
		return nil, err
	}
	info, err := python.About(ctx)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.AboutResponse{
		Executable: info.PythonExecutable, Version: info.PythonVersion.String(),
	}, nil
}

// InstallDependencies refuses: the environment is made from a lock file with hashes, and an
// unlocked install into it would undo that.
func (host *languageHost) InstallDependencies(
	*pulumirpc.InstallDependenciesRequest, pulumirpc.LanguageRuntime_InstallDependenciesServer,
) error {
	return status.Error(codes.FailedPrecondition,
		"this project's Python packages are locked: run bin/dataflow to install them")
}

// Run executes a program against the engine's resource monitor, to its end.
//
// A program that fails is an answer (Error, or Bail when the user has been told), not an error.
func (host *languageHost) Run(
	ctx context.Context, req *pulumirpc.RunRequest,
) (*pulumirpc.RunResponse, error) {
	if req.GetAttachDebugger() {
		return &pulumirpc.RunResponse{Error: "--attach-debugger: this language host has none"}, nil
	}
	python, err := resolve(req.GetInfo())
	if err != nil {
		return &pulumirpc.RunResponse{Error: err.Error()}, nil
	}
	if err := python.ValidateVenv(ctx); err != nil {
		return &pulumirpc.RunResponse{Error: err.Error()}, nil
	}
	environment, err := programEnvironment(req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := host.bounded(ctx)
	defer cancel()
	cmd, err := python.Command(ctx, host.programArguments(req)...)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(inherited(cmd), environment...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // the engine shows both to the user
	code, err := supervise(ctx, cmd)
	switch {
	case err != nil:
		return nil, err
	case code == bailExitCode:
		return &pulumirpc.RunResponse{Bail: true}, nil
	case code != 0:
		return &pulumirpc.RunResponse{
			Error: fmt.Sprintf("the Python program exited with code %d", code),
		}, nil
	}
	return &pulumirpc.RunResponse{}, nil
}

// programArguments is the command line of the launcher, after the interpreter.
func (host *languageHost) programArguments(req *pulumirpc.RunRequest) []string {
	info := req.GetInfo()
	args := []string{
		"-u", host.launcherPath,
		"--monitor", req.GetMonitorAddress(),
		"--engine", host.engineAddress,
		"--project", req.GetProject(),
		"--stack", req.GetStack(),
		"--organization", req.GetOrganization(),
		"--root_directory", info.GetRootDirectory(),
		"--pwd", req.GetPwd(),
		"--dry_run", strconv.FormatBool(req.GetDryRun()),
		"--parallel", strconv.Itoa(int(req.GetParallel())),
	}
	if host.tracing != "" {
		args = append(args, "--tracing", host.tracing)
	}
	args = append(args, filepath.Join(info.GetProgramDirectory(), info.GetEntryPoint()))
	return append(args, req.GetArgs()...)
}

// programEnvironment carries the configuration: its secrets must not show in the command line.
func programEnvironment(req *pulumirpc.RunRequest) ([]string, error) {
	config, secretKeys := req.GetConfig(), req.GetConfigSecretKeys()
	if config == nil {
		config = map[string]string{} // the launcher cannot read the null that nil would become
	}
	if secretKeys == nil {
		secretKeys = []string{}
	}
	configText, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	keysText, err := json.Marshal(secretKeys)
	if err != nil {
		return nil, fmt.Errorf("secret configuration keys: %w", err)
	}
	return []string{
		"PULUMI_CONFIG=" + string(configText),
		"PULUMI_CONFIG_SECRET_KEYS=" + string(keysText),
	}, nil
}

// RunPlugin executes a policy pack (kind analyzer) or a plugin that is a folder of Python code,
// streams what it prints and ends with its exit code.
func (host *languageHost) RunPlugin(
	req *pulumirpc.RunPluginRequest, server pulumirpc.LanguageRuntime_RunPluginServer,
) error {
	python, err := resolve(req.GetInfo())
	if err != nil {
		return err
	}
	if err := python.ValidateVenv(server.Context()); err != nil {
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	ctx, cancel := host.bounded(server.Context())
	defer cancel()
	cmd, err := pluginCommand(ctx, python, req)
	if err != nil {
		return err
	}
	out := &pluginOutput{server: server}
	cmd.Stdout, cmd.Stderr = out.stream(stdoutChunk), out.stream(stderrChunk)
	code, err := supervise(ctx, cmd)
	if err != nil {
		return err
	}
	return out.send(&pulumirpc.RunPluginResponse{
		Output: &pulumirpc.RunPluginResponse_Exitcode{Exitcode: int32(code)},
	})
}

func pluginCommand(
	ctx context.Context, python toolchain.Toolchain, req *pulumirpc.RunPluginRequest,
) (*exec.Cmd, error) {
	folder := req.GetInfo().GetProgramDirectory()
	args := append([]string{"-u", folder}, req.GetArgs()...)
	if req.GetKind() == string(apitype.AnalyzerPlugin) {
		args = append([]string{"-u", "-m", "pulumi.policy"}, req.GetArgs()...)
		args = append(args, folder)
	}
	cmd, err := python.Command(ctx, args...)
	if err != nil {
		return nil, err
	}
	cmd.Dir = req.GetPwd()
	cmd.Env = req.GetEnv() // the engine's whole environment, with its additions
	venv, err := python.VirtualEnvPath(ctx)
	if err != nil {
		return nil, err
	}
	if venv != "" {
		cmd.Env = toolchain.ActivateVirtualEnv(cmd.Env, venv)
	}
	return cmd, nil
}

// Cancel ends all programs and plugins, then this process.
func (host *languageHost) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	host.shutdown()
	return &emptypb.Empty{}, nil
}

// bounded is ctx, ended also by the end of this process.
func (host *languageHost) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(host.running, cancel)
	return ctx, func() { release(); cancel() }
}

// pluginOutput sends a plugin's two streams over one gRPC stream, which takes one Send at a time.
type pluginOutput struct {
	mutex  sync.Mutex
	server pulumirpc.LanguageRuntime_RunPluginServer
}

func (out *pluginOutput) send(response *pulumirpc.RunPluginResponse) error {
	out.mutex.Lock()
	defer out.mutex.Unlock()
	return out.server.Send(response)
}

func (out *pluginOutput) stream(chunk func([]byte) *pulumirpc.RunPluginResponse) io.Writer {
	return writerFunc(func(data []byte) (int, error) {
		if err := out.send(chunk(data)); err != nil {
			return 0, err
		}
		return len(data), nil
	})
}

func stdoutChunk(data []byte) *pulumirpc.RunPluginResponse {
	return &pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stdout{Stdout: data}}
}

func stderrChunk(data []byte) *pulumirpc.RunPluginResponse {
	return &pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stderr{Stderr: data}}
}

type writerFunc func([]byte) (int, error)

func (write writerFunc) Write(data []byte) (int, error) { return write(data) }

// resolve finds the Python that the runtime options of Pulumi.yaml or PulumiPolicy.yaml name.
// It takes `virtualenv` and `toolchain`, and refuses what would be ignored.
func resolve(info *pulumirpc.ProgramInfo) (toolchain.Toolchain, error) {
	options := toolchain.PythonOptions{
		Root: info.GetRootDirectory(), ProgramDir: info.GetProgramDirectory(),
		Toolchain: toolchain.Pip,
	}
	for name, value := range info.GetOptions().AsMap() {
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("runtime option %s: %v: expected a text", name, value)
		}
		switch name {
		case "virtualenv":
			options.Virtualenv = text
		case "toolchain":
			switch text {
			case "pip":
				options.Toolchain = toolchain.Pip
			case "uv":
				options.Toolchain = toolchain.Uv
			case "poetry":
				options.Toolchain = toolchain.Poetry
			default:
				return nil, fmt.Errorf("runtime option toolchain: %q: expected pip, uv or poetry", text)
			}
		default:
			return nil, fmt.Errorf("runtime option %s: expected virtualenv or toolchain", name)
		}
	}
	python, err := toolchain.ResolveToolchain(options)
	if err != nil {
		return nil, fmt.Errorf("Python of %s: %w", info.GetRootDirectory(), err)
	}
	return python, nil
}

// inherited is the environment that cmd would run in, as a list that can be added to.
func inherited(cmd *exec.Cmd) []string {
	if cmd.Env == nil {
		return os.Environ()
	}
	return cmd.Env
}
