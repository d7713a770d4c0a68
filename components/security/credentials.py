"""Credentials of the stack as Pulumi secrets."""

from collections.abc import Sequence

import pulumi

from dynamic_providers.credentials import derive


class Credentials:
    """Hands out the credentials that follow from the stack's seed, each as a secret Output."""

    def __init__(
        self, seed: pulumi.Output[str], others: Sequence[pulumi.Output[str]] = ()
    ) -> None:
        """others: seeds that take this one's place, or had it."""
        self._seed = seed
        self.others = [Credentials(other) for other in others]

    def secret(self, name: str) -> pulumi.Output[str]:
        """The credential called `name`, known in previews."""
        return pulumi.Output.secret(self._seed.apply(lambda seed: derive(seed, name)))
