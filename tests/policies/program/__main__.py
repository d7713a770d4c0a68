"""A source, a dashboard and an address: good ones, or with `broken` set, bad ones."""

import pulumi

from dynamic_providers.dremio.resources import Source, Space, View
from dynamic_providers.superset.resources import Dashboard

broken = pulumi.Config().get_bool("broken") or False
Source(
    "lake",
    name="lake",
    type="S3",
    config={
        "accessKey": "dremio",
        "accessSecret": pulumi.Output.secret("hunter22"),
        "secure": not broken,
        "propertyList": [],
    },
    policy={"accelerationActivePolicyType": "NEVER" if broken else "PERIOD"},
)
space = Space("silver", name="silver")
View("orders", path=["silver", "orders"], sql=space.id.apply(lambda id_: f"SELECT '{id_}' AS i"))
Dashboard("board", slug="board", title="Board", rows=[], roles=["Public" if broken else "analyst"])
pulumi.export("url", "http://localhost" if broken else "https://localhost")
