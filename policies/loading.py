"""Resources as rules read them, from what the engine sends and from an exported state."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from policies.model import Resource
from policies.values import UNKNOWN, Node, Secret

ROOT = Path(__file__).resolve().parents[1]
DBT_MODELS = ROOT / "dbt_project" / "models"
# How the engine marks values, see sdk/go/common/resource/properties.go of Pulumi.
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the mark of one
UNKNOWNS = {
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # text
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # list
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
    "e48ece36-62e2-4504-bad9-02848725956a",  # archive
}
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
CONFIG_PATH = "SUPERSET_CONFIG_PATH"  # names a module of this project, which no file repeats


def decoded(value: Any) -> Any:
    """A property without the engine's marks: Secret and UNKNOWN in their place."""
    if isinstance(value, str):
        return UNKNOWN if value in UNKNOWNS else value
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    mark = value.get(SIGNATURE)
    if mark == SECRET:
        # In an exported state the value is a cipher text: a secret that is not known.
        return Secret(decoded(value["value"]) if "value" in value else UNKNOWN)
    if mark == OUTPUT:
        inner = decoded(value["value"]) if "value" in value else UNKNOWN
        return Secret(inner) if value.get("secret") else inner
    return {key: decoded(item) for key, item in value.items() if key != SIGNATURE}


def resource(
    token: str,
    name: str,
    props: Mapping[str, Any],
    *,
    urn: str = "",
    kept: bool | None = None,
) -> Resource:
    """props: as the engine marks them."""
    plain = decoded(props)
    plain.pop("__provider", None)  # a reference to our own code
    return Resource(type=token, name=name, props=Node(_with_texts(plain)), urn=urn, kept=kept)


def _with_texts(props: dict[str, Any]) -> dict[str, Any]:
    """With the text of files of this project that a resource only names, so that rules need not
    look for them: Superset's settings module, and the Dockerfile of an image."""
    environment, files = props.get("environment"), props.get("files")
    if isinstance(environment, Mapping) and CONFIG_PATH in environment:
        text = _text(environment[CONFIG_PATH])
        if text is not None and isinstance(files, Mapping):
            return {**props, "files": {**files, "superset_config.py": text}}
    build = props.get("build")
    if isinstance(build, Mapping) and "dockerfile" in build:
        text = _text(build["dockerfile"])
        return {**props, "dockerfileText": UNKNOWN if text is None else text}
    return props


def _text(path: Any) -> str | None:
    """The text of a file below the project; None for any other, and for one that is not there."""
    if not isinstance(path, str):
        return None
    full = (ROOT / path).resolve()
    if not full.is_relative_to(ROOT) or not full.is_file():
        return None
    return full.read_text(errors="replace")


def exported(state: Mapping[str, Any]) -> tuple[list[Resource], list[Resource]]:
    """Resources of an exported state: with what the program gave, and with what came of it."""
    listed: Sequence[Mapping[str, Any]] = state.get("deployment", {}).get("resources") or []
    living = [one for one in listed if not one.get("delete")]
    return list(_resources(living, "inputs")), list(_resources(living, "outputs"))


def _resources(listed: Sequence[Mapping[str, Any]], key: str) -> Iterator[Resource]:
    for one in listed:
        props = one.get(key) or one.get("inputs") or {}
        name = str(one["urn"]).rpartition("::")[2]
        kept = bool(one.get("protect") or one.get("retainOnDelete"))
        yield resource(one["type"], name, props, urn=one["urn"], kept=kept)


def dbt_models(folder: Path = DBT_MODELS) -> dict[str, str]:
    """dict model -> its SQL."""
    return {path.stem: path.read_text() for path in sorted(folder.rglob("*.sql"))}
