"""The certificate authority of a stack.

Creates what the runtime needs to certify its services. The authority follows from the stack's
seed, so its certificate is the same in preview and in up.
"""

from dataclasses import dataclass

import pulumi

from components.runtime.service import Authority, Runtime
from components.security.credentials import Credentials
from tls.authority import SECRET_NAME, authority


@dataclass(frozen=True, kw_only=True)
class CertificateAuthorityArgs:
    """domain: below which the stack's services are published, "" for none."""

    credentials: Credentials
    runtime: Runtime
    domain: str


class CertificateAuthority(pulumi.ComponentResource):
    """To be declared before the services that it certifies."""

    trusted: pulumi.Output[str]  # in PEM: what clients trust

    def __init__(
        self,
        name: str,
        args: CertificateAuthorityArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("dataflow:security:CertificateAuthority", name, None, opts)
        secret = args.credentials.secret(SECRET_NAME)
        others = [other.secret(SECRET_NAME) for other in args.credentials.others]
        signer = pulumi.Output.all(secret, *others).apply(
            lambda found: authority(*found, domain=args.domain)
        )
        # What everybody may see, of secrets that nobody may.
        self.trusted = pulumi.Output.unsecret(signer.apply(lambda made: made.trusted))
        args.runtime.trust(
            Authority(
                secret=secret,
                certificate=pulumi.Output.unsecret(signer.apply(lambda made: made.certificate)),
                trusted=self.trusted,
                replaced=bool(others),
            ),
            parent=self,
        )
        self.register_outputs({"trusted": self.trusted})
