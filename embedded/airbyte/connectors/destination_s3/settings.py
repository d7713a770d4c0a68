"""Configuration of the S3 destination."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from embedded.airbyte.connectors.destination_s3 import paths
from embedded.airbyte.connectors.runtime import ConnectorError

MIB = 1 << 20
FILE_SIZE_MB = 200  # target of Airbyte's own connector
BUFFER_SIZE_MB = 256  # specification, "Ingestion Optimization": buffer_size_mb
ROW_GROUP_ROWS = 1_000_000  # specification, "Storage Optimization": row_group_size
CODECS = {
    "UNCOMPRESSED": "none",
    "SNAPPY": "snappy",
    "GZIP": "gzip",
    "BROTLI": "brotli",
    "LZ4": "lz4",
    "ZSTD": "zstd",
}
COMPRESSIONS = ("No Compression", "GZIP")
FLATTENINGS = ("No flattening", "Root level flattening")


@dataclass(frozen=True, kw_only=True)
class ParquetFormat:
    codec: str
    row_group_bytes: int
    page_bytes: int
    dictionary_page_bytes: int
    dictionary: bool

    extension = ".parquet"


@dataclass(frozen=True, kw_only=True)
class JsonlFormat:
    gzip: bool
    flatten: bool

    @property
    def extension(self) -> str:
        return ".jsonl.gz" if self.gzip else ".jsonl"


@dataclass(frozen=True, kw_only=True)
class Settings:
    bucket: str
    region: str
    host: str  # host:port
    tls: bool
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    path_format: str  # bucket path and path format
    file_name_pattern: str
    format: ParquetFormat | JsonlFormat
    file_bytes: int
    buffer_bytes: int


def parse(config: Mapping[str, Any]) -> Settings:
    """Raises ConnectorError naming the key."""
    required = ("s3_bucket_name", "s3_bucket_path", "format")
    missing = [key for key in required if not config.get(key)]
    if missing:
        raise ConnectorError(f"{', '.join(missing)}: required")
    if bool(config.get("access_key_id")) != bool(config.get("secret_access_key")):
        raise ConnectorError("access_key_id and secret_access_key: both or neither")
    host, tls = _endpoint(str(config.get("s3_endpoint") or "https://s3.amazonaws.com"))
    path_format = str(config.get("s3_path_format") or paths.PATH_FORMAT)
    pattern = str(config.get("file_name_pattern") or paths.FILE_NAME_PATTERN)
    try:
        paths.validate(path_format, pattern)
    except ValueError as fault:
        raise ConnectorError(str(fault)) from None
    return Settings(
        bucket=str(config["s3_bucket_name"]),
        region=str(config.get("s3_bucket_region") or ""),
        host=host,
        tls=tls,
        access_key=str(config.get("access_key_id") or ""),
        secret_key=str(config.get("secret_access_key") or ""),
        path_format=f"{str(config['s3_bucket_path']).strip('/')}/{path_format.lstrip('/')}",
        file_name_pattern=pattern,
        format=_format(config["format"]),
        file_bytes=int(config.get("file_size_mb") or FILE_SIZE_MB) * MIB,
        buffer_bytes=int(config.get("buffer_size_mb") or BUFFER_SIZE_MB) * MIB,
    )


def _endpoint(url: str) -> tuple[str, bool]:
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise ConnectorError(f"s3_endpoint: {url!r}: expected http(s)://host[:port]")
    return parts.netloc, parts.scheme == "https"


def _format(raw: Mapping[str, Any]) -> ParquetFormat | JsonlFormat:
    kind = raw.get("format_type")
    if kind == "Parquet":
        codec = str(raw.get("compression_codec", "UNCOMPRESSED"))
        return ParquetFormat(
            codec=CODECS[_one_of("format.compression_codec", codec, tuple(CODECS))],
            row_group_bytes=int(raw.get("block_size_mb", 128)) * MIB,
            page_bytes=int(raw.get("page_size_kb", 1024)) * 1024,
            dictionary_page_bytes=int(raw.get("dictionary_page_size_kb", 1024)) * 1024,
            dictionary=bool(raw.get("dictionary_encoding", True)),
        )
    if kind == "JSONL":
        compression = (raw.get("compression") or {}).get("compression_type", COMPRESSIONS[0])
        flattening = raw.get("flattening", FLATTENINGS[0])
        return JsonlFormat(
            gzip=_one_of("format.compression", compression, COMPRESSIONS) == "GZIP",
            flatten=_one_of("format.flattening", flattening, FLATTENINGS) == FLATTENINGS[1],
        )
    raise ConnectorError(f"format.format_type: {kind!r}: expected Parquet or JSONL")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ConnectorError(f"{name}: {value!r}: expected one of {', '.join(choices)}")
    return value
