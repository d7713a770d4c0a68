"""Resource options, built in one place."""

from collections.abc import Sequence

import pulumi


def child_of(
    parent: pulumi.Resource,
    *,
    provider: pulumi.ProviderResource | None = None,
    depends_on: Sequence[pulumi.Resource] = (),
    keep: bool = False,
) -> pulumi.ResourceOptions:
    """Options of a component's child. The caller's own options are never merged in: `protect`
    or `ignore_changes` would leak into every child.

    keep: destroy leaves the object in the service (`dataflow:keepData`).
    """
    return pulumi.ResourceOptions(
        parent=parent, provider=provider, depends_on=list(depends_on), retain_on_delete=keep
    )
