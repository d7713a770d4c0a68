"""Resources of the local runtime.

Nothing outside components/runtime/ declares them: services are described as
components.runtime.service.Service and know nothing of processes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pulumi

from dynamic_providers.adapter import DynamicResource, HandlerProvider
from dynamic_providers.handler import Handler
from dynamic_providers.local import (
    certificate,
    certificate_authority,
    issued_certificate,
    job,
    process,
    supervisor,
)
from dynamic_providers.stack import Stack
from tls.authority import DURATION_DAYS, RENEW_BEFORE_DAYS, Authority


class LocalProvider(HandlerProvider):
    @staticmethod
    def connect(_stack: Stack) -> None:
        """Handlers of this machine need no client."""
        return None


class SupervisorProvider(LocalProvider):
    handler: ClassVar[Handler[None]] = supervisor


class ProcessProvider(LocalProvider):
    handler: ClassVar[Handler[None]] = process


class JobProvider(LocalProvider):
    handler: ClassVar[Handler[None]] = job


class SigningProvider(HandlerProvider):
    @staticmethod
    def connect(stack: Stack) -> Authority:
        return stack.authority


class CertificateAuthorityProvider(SigningProvider):
    handler: ClassVar[Handler[Authority]] = certificate_authority


class CertificateProvider(SigningProvider):
    handler: ClassVar[Handler[Authority]] = certificate


class IssuedCertificateProvider(SigningProvider):
    handler: ClassVar[Handler[Authority]] = issued_certificate


class Supervisor(DynamicResource):
    """The supervisord of a stack. Every Process depends on it.

    stack_dir: absolute path of the stack's folder.
    keep_data: leave `<stack_dir>/services` in place on destroy.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        stack_dir: str,
        keep_data: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"stackDir": stack_dir, "keepData": keep_data}
        super().__init__(SupervisorProvider, resource_name, props, opts)


class Process(DynamicResource):
    """A service, kept alive in `<stack_dir>/services/<name>/{config,data,logs}`.

    command: program and arguments; it must stay in the foreground.
    environment: variables without secrets. The program gets no others but HOME, LANG, LOGNAME,
        PATH and USER.
    files, secret_files: path below config/ -> content; a change restarts the program.
    init: steps before the first start, {command, creates, stdinFile}: init_steps.normalize.
    user: account of the program, "" for the one that runs Pulumi.
    ports: on 127.0.0.1, checked to be free before the first start.
    readiness: what to wait for: readiness.normalize.
    stop_timeout_s: seconds from the stop signal to SIGKILL.
    keep_data: leave data/ and logs/ in place when the resource is deleted.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        stack_dir: str,
        name: str,
        command: Sequence[pulumi.Input[str]],
        environment: Mapping[str, pulumi.Input[str]] | None = None,
        files: Mapping[str, pulumi.Input[str]] | None = None,
        secret_files: Mapping[str, pulumi.Input[str]] | None = None,
        init: Sequence[Mapping[str, Any]] = (),
        user: str = "",
        ports: Sequence[int] = (),
        readiness: Mapping[str, Any] | None = None,
        stop_signal: str = "TERM",
        stop_timeout_s: int = process.STOP_TIMEOUT_S,
        keep_data: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "stackDir": stack_dir,
            "name": name,
            "command": list(command),
            "environment": dict(environment or {}),
            "files": dict(files or {}),
            "secretFiles": dict(secret_files or {}),
            "init": [dict(step) for step in init],
            "user": user,
            "ports": list(ports),
            "readiness": dict(readiness or {}),
            "stopSignal": stop_signal,
            "stopTimeoutS": stop_timeout_s,
            "keepData": keep_data,
            "running": True,
        }
        super().__init__(ProcessProvider, resource_name, props, opts)


class Job(DynamicResource):
    """A program that runs to its end when it is created, and again when one of its inputs but
    timeout_s changes.

    triggers: any texts, such as digests of what the job reads; a change runs it again.
    timeout_s: seconds after which it is stopped and counts as failed.
    The others are as for Process.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        stack_dir: str,
        name: str,
        command: Sequence[pulumi.Input[str]],
        environment: Mapping[str, pulumi.Input[str]] | None = None,
        files: Mapping[str, pulumi.Input[str]] | None = None,
        secret_files: Mapping[str, pulumi.Input[str]] | None = None,
        triggers: Mapping[str, pulumi.Input[str]] | None = None,
        user: str = "",
        timeout_s: int = job.TIMEOUT_S,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "stackDir": stack_dir,
            "name": name,
            "command": list(command),
            "environment": dict(environment or {}),
            "files": dict(files or {}),
            "secretFiles": dict(secret_files or {}),
            "triggers": dict(triggers or {}),
            "user": user,
            "timeoutS": timeout_s,
        }
        super().__init__(JobProvider, resource_name, props, opts)


class CertificateAuthority(DynamicResource):
    """The certificate of the stack's authority, in `<stack_dir>/tls/ca.crt`.

    stack_dir: absolute path of the stack's folder.
    certificate: what clients trust, in PEM: `tls.authority.Authority.trusted`.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        stack_dir: str,
        certificate: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"stackDir": stack_dir, "certificate": certificate}
        super().__init__(CertificateAuthorityProvider, resource_name, props, opts)


class Certificate(DynamicResource):
    """The certificate of a service, in `<stack_dir>/services/<name>/config/tls/`.

    name: of the service.
    authority: SHA-256 fingerprint of the authority's certificate; another one means a new
        certificate.
    hosts: DNS names and IP addresses of the service.
    user: account that may read the key, "" for the one that runs Pulumi.
    certificate_file, key_file, ca_file: names of the files, as the program wants them.
    reload_signal: for a program that does not look for new files, such as HUP.
    duration_days: how long it is valid, 90 at most.
    renew_before_days: how long before its end it is renewed, a third of its duration or more.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        stack_dir: str,
        name: str,
        authority: pulumi.Input[str],
        hosts: Sequence[pulumi.Input[str]],
        user: str = "",
        certificate_file: str = "tls.crt",
        key_file: str = "tls.key",
        ca_file: str = "ca.crt",
        reload_signal: str = "",
        duration_days: int = DURATION_DAYS,
        renew_before_days: int = RENEW_BEFORE_DAYS,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "stackDir": stack_dir,
            "name": name,
            "authority": authority,
            "hosts": list(hosts),
            "user": user,
            "certificateFile": certificate_file,
            "keyFile": key_file,
            "caFile": ca_file,
            "reloadSignal": reload_signal,
            "durationDays": duration_days,
            "renewBeforeDays": renew_before_days,
        }
        super().__init__(CertificateProvider, resource_name, props, opts)

    @property
    def not_after(self) -> pulumi.Output[str]:
        return self.output("notAfter")


class IssuedCertificate(DynamicResource):
    """A certificate and its key, for a service on a machine that Pulumi cannot write to.

    name: of the service.
    authority: SHA-256 fingerprint of the authority's certificate; another one means a new
        certificate.
    hosts: DNS names and IP addresses of the service.
    keystore_password: makes a PKCS 12 file as well, for programs that read no PEM.
    duration_days: how long it is valid, 90 at most.
    renew_before_days: how long before its end it is renewed, a third of its duration or more.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: str,
        authority: pulumi.Input[str],
        hosts: Sequence[pulumi.Input[str]],
        keystore_password: pulumi.Input[str] = "",
        duration_days: int = DURATION_DAYS,
        renew_before_days: int = RENEW_BEFORE_DAYS,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "authority": authority,
            "hosts": list(hosts),
            "keystorePassword": keystore_password,
            "durationDays": duration_days,
            "renewBeforeDays": renew_before_days,
        }
        super().__init__(IssuedCertificateProvider, resource_name, props, opts)

    @property
    def certificate(self) -> pulumi.Output[str]:
        """PEM."""
        return self.output("certificate")

    @property
    def key(self) -> pulumi.Output[str]:
        """PEM. A secret."""
        return self.output("key")

    @property
    def keystore(self) -> pulumi.Output[str]:
        """PKCS 12 in base64, "" without a password. A secret."""
        return self.output("keystore")

    @property
    def not_after(self) -> pulumi.Output[str]:
        return self.output("notAfter")
