"""The settings of the gateway, ``BCD_GATEWAY_*``; part of `worker.settings.Settings`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class GatewaySettings(BaseModel):
    """What the gateway listens on, keeps and takes."""

    gateway_address: str = Field(
        default="127.0.0.1",
        description="address of the gateway; any but a loopback one needs a token, and TLS in front",
    )
    gateway_port: int = Field(
        default=8970, ge=0, le=65535, description="port of the gateway; 0: any free one"
    )
    gateway_dir: Path | None = Field(
        default=None,
        description="the gateway's tokens, uploads and results; unset: gateway/ in BCD_STATE_DIR",
    )
    gateway_upload_bytes: int = Field(
        default=2 << 30, ge=1 << 10, description="bytes that one upload may have"
    )
    gateway_upload_files: int = Field(
        default=500, ge=1, le=100_000, description="files that one upload may hold, those in zips included"
    )
    gateway_film_bytes: int = Field(default=256 << 20, ge=1 << 10, description="bytes that one film may have")
    gateway_unpacked_bytes: int = Field(
        default=8 << 30, ge=1 << 10, description="bytes that the zips of one upload may hold, unpacked"
    )
    gateway_free_bytes: int = Field(
        default=1 << 30, ge=0, description="bytes that uploads leave free on the gateway's disk"
    )
    gateway_zip_ratio: int = Field(
        default=100, ge=1, le=1100, description="how many times its size a zip may hold, unpacked"
    )
    gateway_uploads: int = Field(
        default=128, ge=2, le=10_000, description="uploads at the same time; half of them by one token"
    )
    gateway_upload_seconds: int = Field(default=1800, ge=1, description="seconds that one upload may take")
    gateway_look_seconds: int = Field(
        default=60, ge=1, le=3600, description="seconds that looking through one upload may take"
    )
    gateway_idle_seconds: int = Field(
        default=15, ge=1, le=600, description="seconds for which a client may send or take nothing"
    )
    gateway_requests: int = Field(
        default=1200, ge=1, description="requests that one token may make in a minute"
    )
    gateway_jobs: int = Field(default=1000, ge=1, description="jobs under way that one token may have")
    gateway_upload_hours: int = Field(
        default=24,
        ge=1,
        le=24 * 365,
        description="hours for which the films of a job that has ended are kept",
    )
    gateway_result_days: int = Field(
        default=30, ge=1, le=3650, description="days for which the gateway keeps results"
    )
