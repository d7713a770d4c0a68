"""The sample flow with so many more streams, reflections and charts that its local stack has
about 500 resources."""

import dataclasses

from flow.commerce import FLOW as SAMPLE
from flow.model import Chart, Dashboard, RawReflection, Stream, SyncMode

TABLES = 95

FLOW = dataclasses.replace(
    SAMPLE,
    streams=(
        *SAMPLE.streams,
        *(
            Stream(
                source="postgres",
                name=f"table_{number}",
                sync_mode=SyncMode.FULL_REFRESH_OVERWRITE,
            )
            for number in range(TABLES)
        ),
    ),
    reflections=(
        *SAMPLE.reflections,
        *(
            RawReflection(
                name=f"raw_table_{number}", dataset=f"bronze.table_{number}", display=("id",)
            )
            for number in range(TABLES)
        ),
    ),
    dashboards=(
        *SAMPLE.dashboards,
        Dashboard(
            slug="tables",
            title="Tables",
            rows=tuple(
                (
                    Chart(
                        name=f"Orders {number}",
                        dataset="gold.fct_orders",
                        kind="big_number",
                        metric="COUNT(*)",
                    ),
                )
                for number in range(TABLES)
            ),
        ),
    ),
)
