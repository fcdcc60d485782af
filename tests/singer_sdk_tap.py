"""A tap built with singer-sdk: one stream, read incrementally, of numbers it makes itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_sdk import Stream, Tap
from singer_sdk import typing as th

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Readings(Stream):
    name = "readings"
    primary_keys = ("id",)
    replication_key = "read_at"
    is_sorted = True
    STATE_MSG_FREQUENCY = 10
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("read_at", th.DateTimeType),
        th.Property("celsius", th.NumberType),
        th.Property("is_calm", th.BooleanType),
        th.Property("note", th.StringType),
    ).to_dict()

    def get_records(self, context: Mapping[str, Any] | None) -> Iterable[dict[str, Any]]:
        start = self.get_starting_replication_key_value(context)
        for number in range(self.config["count"]):
            at = f"2026-01-01T{number // 60:02d}:{number % 60:02d}:00+00:00"
            if start and at < start:
                continue
            if number == self.config["count"] // 2 + 3 and "until" in self.config:
                while not Path(self.config["until"]).exists():
                    time.sleep(0.02)
            yield {
                "id": number,
                "read_at": at,
                "celsius": number / 2,
                "is_calm": number % 2 == 0,
                "note": "n",
            }


class TapReadings(Tap):
    name = "tap-readings"
    config_jsonschema = th.PropertiesList(
        th.Property("count", th.IntegerType, default=100),
        th.Property("until", th.StringType),
        th.Property("access_token", th.StringType, secret=True),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        return [Readings(self)]


if __name__ == "__main__":
    TapReadings.cli()
