"""Connection state: the form in `airbyte_state` and in the Config API, and the protocol's."""

from collections.abc import Mapping
from typing import Any

from embedded.airbyte import protocol
from embedded.airbyte.protocol import StreamKey

State = dict[str, Any]


def merged(state: Mapping[str, Any] | None, payload: Mapping[str, Any]) -> State:
    """`state` with a STATE payload of the protocol in it."""
    kind = payload.get("type") or "LEGACY"
    if kind == "STREAM":
        entry = _entry(payload["stream"])
        before = state["streamState"] if state and state["stateType"] == "stream" else []
        kept = [one for one in before if key_of(one) != key_of(entry)]
        return {"stateType": "stream", "streamState": [*kept, entry], "globalState": None}
    if kind == "GLOBAL":
        whole = payload["global"]
        streams = [_entry(one) for one in whole.get("stream_states") or ()]
        return {
            "stateType": "global",
            "streamState": None,
            "globalState": {"shared_state": whole.get("shared_state"), "streamStates": streams},
        }
    return {"stateType": "legacy", "state": payload.get("data")}


def to_protocol(state: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The file for `read --state`: an array of STATE payloads."""
    if state is None:
        return []
    if state["stateType"] == "stream":
        return [{"type": "STREAM", "stream": _stream(one)} for one in state["streamState"]]
    if state["stateType"] == "global":
        whole = state["globalState"]
        streams = [_stream(one) for one in whole["streamStates"]]
        shared = {"shared_state": whole["shared_state"], "stream_states": streams}
        return [{"type": "GLOBAL", "global": shared}]
    return [{"type": "LEGACY", "data": state["state"]}] if state["stateType"] == "legacy" else []


def key_of(entry: Mapping[str, Any]) -> StreamKey:
    return protocol.stream_key(entry["streamDescriptor"])


def _entry(stream: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "streamDescriptor": protocol.descriptor(protocol.stream_key(stream["stream_descriptor"])),
        "streamState": stream.get("stream_state"),
    }


def _stream(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "stream_descriptor": protocol.descriptor(key_of(entry)),
        "stream_state": entry["streamState"],
    }
