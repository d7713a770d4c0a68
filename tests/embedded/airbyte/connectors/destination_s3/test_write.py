"""The S3 destination as a program: what is confirmed is there, whole and readable."""

import gzip
import io
import json
import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from tests.embedded.airbyte.conftest import BUCKET, ROOT

pytestmark = pytest.mark.service

STREAM = {
    "name": "orders",
    "json_schema": {"properties": {"id": {"type": "integer"}, "text": {"type": "string"}}},
}


class Destination:
    """One `write`: lines in, confirmed states out."""

    def __init__(self, folder, config, streams) -> None:
        command = [sys.executable, "-m", "embedded.airbyte.connectors.destination_s3", "write"]
        for name, value in (("config", config), ("catalog", {"streams": streams})):
            (folder / name).write_text(json.dumps(value))
            command += [f"--{name}", str(folder / name)]
        env = {**os.environ, "TMPDIR": str(folder)}
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )

    def send(self, *messages) -> None:
        for message in messages:
            self.process.stdin.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        self.process.stdin.flush()

    def next(self) -> dict:
        return json.loads(self.process.stdout.readline())

    def end(self, code=0) -> list[dict]:
        self.process.stdin.close()
        out = self.process.stdout.read()
        assert self.process.wait(60) == code, out
        return [json.loads(line) for line in out.splitlines()]


def record(id_, text="x", stream="orders") -> dict:
    content = {"stream": stream, "data": {"id": id_, "text": text}, "emitted_at": 1}
    return {"type": "RECORD", "record": content}


def state(cursor, stream="orders") -> dict:
    inner = {"stream_descriptor": {"name": stream}, "stream_state": {"cursor": cursor}}
    return {"type": "STATE", "state": {"type": "STREAM", "stream": inner, "id": cursor}}


def status(value, stream="orders") -> dict:
    inner = {"stream_descriptor": {"name": stream}, "status": value}
    trace = {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": inner}
    return {"type": "TRACE", "trace": trace}


def configured(generation=1, minimum=0, sync_id=5, mode="append", stream=STREAM) -> dict:
    return {
        "stream": stream,
        "sync_mode": "full_refresh",
        "destination_sync_mode": mode,
        "generation_id": generation,
        "minimum_generation_id": minimum,
        "sync_id": sync_id,
    }


@pytest.fixture
def start(tmp_path, s3_config):
    def make(streams=None, **changes) -> Destination:
        return Destination(tmp_path, {**s3_config, **changes}, streams or [configured()])

    return make


@pytest.fixture
def keys(bucket, s3_config):
    def listed() -> list[str]:
        prefix = s3_config["s3_bucket_path"] + "/"
        found = bucket.list_objects(bucket_name=BUCKET, prefix=prefix, recursive=True)
        return sorted(entry.object_name for entry in found)

    return listed


@pytest.fixture
def content(bucket):
    def read(key) -> bytes:
        answer = bucket.get_object(bucket_name=BUCKET, object_name=key)
        try:
            return answer.read()
        finally:
            answer.close()

    return read


def test_a_state_comes_back_only_when_its_records_are_stored(start, keys, content) -> None:
    destination = start()
    destination.send(record(1), record(2), state(1))
    assert keys() == []
    destination.send(status("COMPLETE"))
    echoed = destination.next()["state"]
    (key,) = keys()
    table = pq.read_table(io.BytesIO(content(key)))
    assert table.column("id").to_pylist() == [1, 2]
    assert echoed["id"] == 1
    assert echoed["stream"] == state(1)["state"]["stream"]
    assert echoed["destinationStats"] == {"recordCount": 2.0, "rejectedRecordCount": 0.0}
    assert destination.end() == []


def test_large_input_is_cut_into_objects_and_confirmed_on_the_way(start, keys, content) -> None:
    destination = start(file_size_mb=1, buffer_size_mb=1)
    text = os.urandom(500).hex()
    for n in range(1, 7):
        rows = (record(n * 1000 + i, os.urandom(500).hex() + text) for i in range(1000))
        destination.send(*rows, state(n))
    early = destination.next()["state"]["id"]
    assert early == 1
    assert len(keys()) >= 1
    destination.send(status("COMPLETE"))
    rest = [message["state"]["id"] for message in destination.end()]
    assert [early, *rest] == [1, 2, 3, 4, 5, 6]
    ids = [i for key in keys() for i in pq.read_table(io.BytesIO(content(key)))["id"].to_pylist()]
    assert sorted(ids) == [n * 1000 + i for n in range(1, 7) for i in range(1000)]
    assert len(keys()) > 1


def test_the_options_of_the_specification_are_in_the_file(start, keys, content) -> None:
    destination = start()
    destination.send(*(record(i, "same") for i in range(100)), status("COMPLETE"))
    destination.end()
    file = pq.ParquetFile(io.BytesIO(content(keys()[0])))
    column = file.metadata.row_group(0).column(file.metadata.num_columns - 1)
    assert column.path_in_schema == "text"
    assert column.compression == "SNAPPY"
    assert column.has_dictionary_page
    assert column.statistics.min == "same"
    assert keys()[0].endswith("/data_5_0.parquet")


def test_a_retry_with_the_same_sync_id_does_not_overwrite(start, keys) -> None:
    for id_ in (1, 2):
        destination = start()
        destination.send(record(id_), status("COMPLETE"))
        destination.end()
    assert [key.rpartition("/")[2] for key in keys()] == ["data_5_0.parquet", "data_5_1.parquet"]


def test_a_pattern_without_a_number_does_not_overwrite_either(start, keys) -> None:
    for id_ in (1, 2):
        destination = start(file_name_pattern="data{format_extension}")
        destination.send(record(id_), status("COMPLETE"))
        destination.end()
    assert [key.rpartition("/")[2] for key in keys()] == ["data-1.parquet", "data.parquet"]


def test_older_generations_go_after_success_only(start, keys, bucket) -> None:
    def generation(number, last):
        destination = start([configured(number, number, number, "overwrite")])
        destination.send(record(number), last)
        destination.end()

    generation(1, status("COMPLETE"))
    generation(2, status("INCOMPLETE"))
    assert [key.rpartition("/")[2][:6] for key in keys()] == ["data_1", "data_2"]
    generation(3, status("COMPLETE"))
    (key,) = keys()
    found = bucket.stat_object(bucket_name=BUCKET, object_name=key).metadata
    assert found["x-amz-meta-ab-generation-id"] == "3"


def test_streams_in_one_folder_keep_their_objects(start, keys) -> None:
    other = {**STREAM, "name": "others"}
    flat = {"s3_path_format": "all/"}
    destination = start([configured(1, 1, 1, "overwrite", other)], **flat)
    destination.send(record(1, stream="others"), status("COMPLETE", "others"))
    destination.end()
    destination = start([configured(2, 2, 2, "overwrite")], **flat)
    destination.send(record(1), status("COMPLETE"))
    destination.end()
    assert len(keys()) == 2


@pytest.mark.parametrize("compression", ["No Compression", "GZIP"])
@pytest.mark.parametrize("flattening", ["No flattening", "Root level flattening"])
def test_json_lines(start, keys, content, compression, flattening) -> None:
    form = {
        "format_type": "JSONL",
        "compression": {"compression_type": compression},
        "flattening": flattening,
    }
    path = "${STREAM_NAME}/timestamp=${YEAR}${MONTH}${DAY}_${HOUR}${MINUTE}${SECOND}/"
    destination = start(format=form, s3_path_format=path, file_name_pattern="response.json")
    destination.send(record(1), state(1), status("COMPLETE"))
    destination.end()
    (key,) = keys()
    assert key.endswith("/response.json")
    data = content(key)
    line = json.loads(gzip.decompress(data) if compression == "GZIP" else data)
    row = line if flattening != "No flattening" else line["_airbyte_data"]
    assert row["id"] == 1
    assert line["_airbyte_meta"] == {"sync_id": 5, "changes": []}


def test_input_that_ends_early_is_stored_but_is_not_a_success(start, keys) -> None:
    destination = start()
    destination.send(record(1), state(1))
    messages = destination.end(code=1)
    assert [message["type"] for message in messages] == ["STATE", "TRACE"]
    assert "terminal stream status" in messages[1]["trace"]["error"]["message"]
    assert len(keys()) == 1


def test_a_cut_record_is_an_error(start, keys) -> None:
    destination = start()
    destination.process.stdin.write(b'{"type":"RECORD","record":{"stream":"orders","data":{"i\n')
    (message,) = destination.end(code=1)
    assert message["trace"]["error"]["failure_type"] == "system_error"
    assert keys() == []


def test_dedup_is_refused(start) -> None:
    (message,) = start([configured(mode="append_dedup")]).end(code=1)
    error = message["trace"]["error"]
    assert error["failure_type"] == "config_error"
    assert "append_dedup" in error["message"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"secret_access_key": "wrong-key"}, "SignatureDoesNotMatch|AccessDenied|Forbidden|403"),
        ({"s3_bucket_name": "nowhere"}, "nowhere"),
        ({"s3_endpoint": "ftp://x"}, "expected http"),
        ({"s3_path_format": "${STREAM}/"}, "STREAM_NAME"),
        ({"format": {"format_type": "CSV"}}, "expected Parquet or JSONL"),
        ({"access_key_id": ""}, "both or neither"),
    ],
)
def test_check_tells_what_is_wrong(tmp_path, s3_config, change, problem) -> None:
    import re

    path = tmp_path / "config.json"
    path.write_text(json.dumps({**s3_config, **change}))
    module = "embedded.airbyte.connectors.destination_s3"
    command = [sys.executable, "-m", module, "check", "--config", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60)
    shown = json.loads(done.stdout)["connectionStatus"]
    assert shown["status"] == "FAILED"
    assert re.search(problem, shown["message"])
    assert "wrong-key" not in shown["message"]
