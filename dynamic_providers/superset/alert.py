"""Superset alert: a dashboard or chart sent when a query of a database says so."""

from typing import Final

from dynamic_providers.superset import schedule

KIND: Final = "superset/Alert"
REPLACE_ON = schedule.REPLACE_ON
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

_SCHEDULE = schedule.Schedule("Alert")
normalize = _SCHEDULE.normalize
natural_key = _SCHEDULE.natural_key
create = _SCHEDULE.create
read = _SCHEDULE.read
update = _SCHEDULE.update
delete = _SCHEDULE.delete
