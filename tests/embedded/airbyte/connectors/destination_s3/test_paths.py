"""Names of objects."""

from datetime import UTC, datetime

import pytest

from embedded.airbyte.connectors.destination_s3 import paths

TARGET = paths.Target(
    namespace="public",
    stream="cust omers/x",
    at=datetime(2025, 10, 16, 12, 0, 5, 123456, tzinfo=UTC),
    sync_id=42,
    extension=".parquet",
)


@pytest.mark.parametrize(
    ("form", "path"),
    [
        (
            "bronze/postgres/${STREAM_NAME}/date=${YEAR}-${MONTH}-${DAY}/",
            "bronze/postgres/cust_omers_x/date=2025-10-16/",
        ),
        (
            "bronze/api/${STREAM_NAME}/timestamp=${YEAR}${MONTH}${DAY}_${HOUR}${MINUTE}${SECOND}/",
            "bronze/api/cust_omers_x/timestamp=20251016_120005/",
        ),
        ("a//${NAMESPACE}/${EPOCH}_", "a/public/1760616005123_"),
        ("${MILLISECOND}/", "123/"),
    ],
)
def test_path(form: str, path: str) -> None:
    assert paths.path(form, TARGET) == path


def test_without_a_namespace_no_empty_folder_is_left() -> None:
    target = paths.Target(
        namespace=None, stream="s", at=TARGET.at, sync_id=1, extension=".parquet"
    )
    assert paths.path("bronze/${NAMESPACE}/${STREAM_NAME}/", target) == "bronze/s/"


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (paths.FILE_NAME_PATTERN, "data_42_3.parquet"),
        ("{date}_{timestamp:micros}_{part_number}", "2025_10_16_1760616005123456_3"),
        ("{date:yyyy-MM}{format_extension}", "2025-10.parquet"),
    ],
)
def test_file_name(pattern: str, name: str) -> None:
    assert paths.file_name(pattern, TARGET, 3) == name


def test_patterns_without_a_part_number_get_one_before_the_extension() -> None:
    assert paths.numbered("data.parquet", 2, ".parquet") == "data-2.parquet"
    assert paths.numbered("response.json", 1, ".jsonl") == "response-1.json"


def test_the_prefix_of_all_syncs_ends_before_the_first_time() -> None:
    form = "bronze/${STREAM_NAME}/date=${YEAR}/"
    assert paths.static_prefix(form, TARGET) == "bronze/cust_omers_x/date="


@pytest.mark.parametrize(
    ("form", "pattern", "problem"),
    [
        ("${STREAM}/", "{part_number}", "STREAM"),
        ("${STREAM_NAME}/", "{part}", "part"),
        ("${STREAM_NAME}/", "{timestamp:days}", "millis"),
        ("${STREAM_NAME}/", "a/{part_number}", "'/'"),
    ],
)
def test_unknown_variables_are_named(form: str, pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        paths.validate(form, pattern)
