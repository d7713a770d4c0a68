"""Flows that the engine's tests deploy."""

import dataclasses

from flow.commerce import FLOW
from flow.model import Stream, SyncMode

WITH_THIRD_TABLE = dataclasses.replace(
    FLOW,
    streams=(
        *FLOW.streams,
        Stream(
            source="postgres",
            name="products",
            dataset="shop_products",
            sync_mode=SyncMode.FULL_REFRESH_OVERWRITE,
        ),
    ),
)
