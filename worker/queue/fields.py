"""Objects as the fields of a Redis hash, and back: their types say what a field may hold."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, PlainSerializer, SerializerFunctionWrapHandler, WrapSerializer

T = TypeVar("T")


def to_json(value: Any) -> str:
    """JSON for a field; a name that is not UTF-8 goes as its bytes: Lua's JSON knows no lone surrogates."""
    return json.dumps(value, ensure_ascii=False)


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    return json.loads(value) if value else None


def _dumped(value: Any, plain: SerializerFunctionWrapHandler) -> str:
    return "" if value is None else to_json(plain(value))


Stored = Annotated[T, BeforeValidator(_parsed), WrapSerializer(_dumped)]
"""What has parts of its own: JSON in one field, "" for None."""

Flag = Annotated[bool, PlainSerializer(int)]
"""0 or 1: Redis knows no booleans."""

Seconds = Annotated[float, Field(ge=0, lt=253_370_764_800, allow_inf_nan=False)]
"""Since 1970, before the year 9999, the last of a date."""
