"""Credentials of the stack as Pulumi secrets."""

import pulumi

from dynamic_providers.credentials import derive


class Credentials:
    """Hands out the credentials that follow from the stack's seed, each as a secret Output."""

    def __init__(self, seed: pulumi.Output[str]) -> None:
        self._seed = seed

    def secret(self, name: str) -> pulumi.Output[str]:
        """The credential called `name`, known in previews."""
        return pulumi.Output.secret(self._seed.apply(lambda seed: derive(seed, name)))
