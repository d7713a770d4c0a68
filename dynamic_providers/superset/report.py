"""Superset report: a dashboard or chart sent at set times."""

from typing import Final

from dynamic_providers.superset import schedule

KIND: Final = "superset/Report"
REPLACE_ON = schedule.REPLACE_ON
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

_SCHEDULE = schedule.Schedule("Report")
normalize = _SCHEDULE.normalize
natural_key = _SCHEDULE.natural_key
create = _SCHEDULE.create
read = _SCHEDULE.read
update = _SCHEDULE.update
delete = _SCHEDULE.delete
