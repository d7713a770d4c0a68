"""What Superset's reports and alerts have in common: both are report schedules to its API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cronsim import CronSim, CronSimError

from dynamic_providers import inputs
from dynamic_providers.canonical import whole_floats_to_int
from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from dynamic_providers.superset import objects
from dynamic_providers.superset.client import SupersetClient

REPLACE_ON = frozenset({"name"})  # the name is the only identity that a schedule of a type has

PATH = "report"
FORMATS = ("CSV", "PDF", "PNG", "TEXT")
RECIPIENTS = ("Email", "Slack", "SlackV2", "Webhook")
ADDRESSES = ("target", "ccTarget", "bccTarget")
OPERATORS = ("!=", "<", "<=", "==", ">", ">=")
DEFAULTS: Props = {
    "timezone": "UTC",
    "active": True,
    "reportFormat": "PNG",
    "logRetentionDays": 90,
}
OPTIONAL: Mapping[str, str] = {  # input -> API's name
    "description": "description",
    "emailSubject": "email_subject",
    "contextMarkdown": "context_markdown",
    "gracePeriodS": "grace_period",
    "workingTimeoutS": "working_timeout",
}
PERIODS = frozenset({"gracePeriodS", "workingTimeoutS"})  # defaults of the server: 4 h, 1 h
SUBJECTS = ("dashboard", "chart")
ALERT = ("databaseUuid", "sql")


@dataclass(frozen=True)
class Schedule:
    """type: Report, sent at set times, or Alert, sent when a query of a database says so."""

    type: str

    @property
    def alert(self) -> bool:
        return self.type == "Alert"

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        spec = DEFAULTS | inputs.known_keys(
            raw,
            ("name", "crontab", "recipients", *(ALERT if self.alert else ())),
            (
                "dashboardUuid",
                "chartUuid",
                *(("condition",) if self.alert else ()),
                *DEFAULTS,
                *OPTIONAL,
            ),
        )
        inputs.text(spec["name"], "name")
        inputs.one_of(spec["reportFormat"], FORMATS, "reportFormat")
        inputs.text(spec["timezone"], "timezone")
        inputs.flag(spec["active"], "active")
        inputs.whole(spec["logRetentionDays"], "logRetentionDays", least=1)
        for key in OPTIONAL.keys() & spec.keys():
            if key in PERIODS:
                inputs.whole(spec[key], key, least=1)
            else:
                inputs.text(spec[key], key)
        spec["crontab"] = _crontab(spec["crontab"])
        _check_subject(spec)
        if self.alert:
            _check_alert(spec)
        recipients = inputs.listing(spec["recipients"], "recipients")
        if not inputs.is_unknown(recipients):
            recipients = [
                _recipient(item, f"recipients[{n}]") for n, item in enumerate(recipients)
            ]
            recipients.sort(key=str)
        return {**spec, "recipients": recipients}

    def natural_key(self, spec: Props) -> str:
        return str(spec["name"])

    def create(self, client: SupersetClient, spec: Props) -> Live:
        body = self._body(client, spec)
        key = self.natural_key(spec)
        new = {name: value for name, value in body.items() if value is not None}
        number = objects.found_or_made(client, PATH, lambda: self._number(client, key), new)
        objects.put_named(client, PATH, number, body)
        return Live(id=key, inputs=spec)

    def read(self, client: SupersetClient, id_: str, known: Props) -> Live | None:
        number = self._number(client, id_)
        answer = None if number is None else client.send("GET", f"/{PATH}/{number}")
        if answer is None:
            return None
        live = answer["result"]
        found: Props = {
            "name": live["name"],
            "crontab": live["crontab"],
            "timezone": live["timezone"],
            "active": bool(live["active"]),
            "reportFormat": live["report_format"],
            "logRetentionDays": live["log_retention"],
            "recipients": sorted((_shown_recipient(r) for r in live["recipients"]), key=str),
            **{
                key: live[api_name]
                for key, api_name in OPTIONAL.items()
                if live.get(api_name) not in (None, "") and (key in known or not known)
            },
        }
        for kind in (*SUBJECTS, "database"):
            if live.get(kind):
                found[f"{kind}Uuid"] = client.uuid_of(kind, live[kind]["id"])
        if self.alert:
            found |= {"sql": live["sql"] or "", "condition": _shown_condition(live)}
        return Live(id=id_, inputs=found)

    def update(self, client: SupersetClient, id_: str, old: Props, spec: Props) -> Live:
        number = self._number(client, id_)
        if number is None:
            raise LookupError(f"{self.type} {id_!r} is gone")
        objects.put_named(client, PATH, number, self._body(client, spec))
        return Live(id=id_, inputs=spec)

    def delete(self, client: SupersetClient, id_: str, known: Props) -> None:
        number = self._number(client, id_)
        if number is not None:
            client.send("DELETE", f"/{PATH}/{number}")

    def _number(self, client: SupersetClient, name: str) -> int | None:
        """Raises FeatureOffError where Superset has no schedules."""
        found = client.listing(PATH, ("name", "eq", name), "id", "type")
        return next((int(item["id"]) for item in found if item["type"] == self.type), None)

    def _body(self, client: SupersetClient, spec: Props) -> Props:
        """The whole object: nulls for what is not set."""
        recipients = [
            {
                "type": item["type"],
                "recipient_config_json": {key: item[key] for key in ADDRESSES if key in item},
            }
            for item in spec["recipients"]
        ]
        body: Props = {
            "name": spec["name"],
            "type": self.type,
            "crontab": spec["crontab"],
            "timezone": spec["timezone"],
            "active": spec["active"],
            "report_format": spec["reportFormat"],
            "log_retention": spec["logRetentionDays"],
            "creation_method": "alerts_reports",
            "recipients": recipients,
            **{
                api_name: spec.get(key)
                for key, api_name in OPTIONAL.items()
                # A period cannot be null: left out, it stays as it is.
                if key in spec or key not in PERIODS
            },
            **{kind: _number_of(client, kind, spec) for kind in SUBJECTS},
        }
        if self.alert:
            condition = spec["condition"]
            body |= {
                "database": _number_of(client, "database", spec),
                "sql": spec["sql"],
                "validator_type": "operator" if condition else "not null",
                "validator_config_json": condition,
            }
        return body


def _crontab(value: Any) -> str:
    text = " ".join(inputs.text(value, "crontab").split())
    if UNKNOWN not in text:
        try:
            CronSim(text, datetime.now(UTC))
        except CronSimError as error:
            raise InputError("crontab", f"{text!r}: expected 5 fields of cron: {error}") from None
    return text


def _check_subject(spec: Props) -> None:
    """A schedule sends one thing. An unknown one may turn out to be left out."""
    given = [key for key in ("dashboardUuid", "chartUuid") if key in spec]
    sure = [key for key in given if not inputs.is_unknown(spec[key])]
    if not given or len(sure) > 1:
        raise InputError("dashboardUuid", "expected either dashboardUuid or chartUuid")
    for key in given:
        spec[key] = objects.uuid(spec[key], key)


def _check_alert(spec: Props) -> None:
    spec["databaseUuid"] = objects.uuid(spec["databaseUuid"], "databaseUuid")
    inputs.text(spec["sql"], "sql")
    condition = inputs.mapping(spec.setdefault("condition", {}), "condition")
    if condition and not inputs.is_unknown(condition):
        spec["condition"] = inputs.known_keys(condition, ("op", "threshold"), at="condition")
        inputs.one_of(spec["condition"]["op"], OPERATORS, "condition.op")
        threshold = spec["condition"]["threshold"]
        if isinstance(threshold, bool) or not isinstance(threshold, int | float | str):
            raise InputError("condition.threshold", f"{threshold!r}: expected a number")


def _recipient(raw: Any, at: str) -> Any:
    if inputs.is_unknown(raw):
        return raw
    item = inputs.known_keys(
        inputs.mapping(raw, at), ("type", "target"), ("ccTarget", "bccTarget"), at=at
    )
    inputs.one_of(item["type"], RECIPIENTS, f"{at}.type")
    for key in ADDRESSES:
        if key in item:
            inputs.text(item[key], f"{at}.{key}")
    return item


def _number_of(client: SupersetClient, kind: str, spec: Props) -> int | None:
    field = f"{kind}Uuid"
    return client.number_of(kind, spec[field], field) if field in spec else None


def _shown_recipient(live: Props) -> Props:
    config = _parsed(live.get("recipient_config_json"))
    return {"type": live["type"], **{key: config[key] for key in ADDRESSES if config.get(key)}}


def _shown_condition(live: Props) -> Props:
    if live.get("validator_type") != "operator":
        return {}
    config = whole_floats_to_int(_parsed(live.get("validator_config_json")))
    return {key: config[key] for key in ("op", "threshold") if key in config}


def _parsed(value: Any) -> Props:
    return dict(json.loads(value or "{}") if isinstance(value, str) else value or {})
