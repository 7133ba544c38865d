"""The weight files that ship, and what they say of themselves; reads no network and no torch.

A weight file is one safetensors file. Its metadata entry ``bcd`` is a JSON object:

========================  =====================================================================
``name``, ``version``     the model's identity, with the file's SHA-256 as digest
``network``, ``units``    class in ``bcd_model.detector.network`` and width of its dense layer
``steps_mm``              pixel spacings of the scan's levels
``prevalence``            share of abnormal films, in (0, 1), where the probabilities hold
``calibration``           Platt scaling of a mark's score: ``slope``, ``intercept``
``film_calibration``      the same for a film's highest score
``heat_calibration``      the same for the network's own score, before a second stage
``operating_point``       ``threshold`` on the calibrated P(abnormal), with its measured figures
``card``                  training data and its digest, command, seed, cross-validated figures
========================  =====================================================================

Tensors whose names begin with `SECOND_STAGE_KEY` are those of ``detector.second_stage``; the others are
the network's.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from bcd_model.errors import ModelError
from bcd_model.reading import first_fault
from bcd_model.words import ModelIdentity, OperatingPoint

SHIPPED = Path(__file__).with_name("bcd-scan.safetensors")
"""The weights used unless others are named."""

SHIPPED_NAME = "bcd-scan"

SHIPPED_DIGEST = "300dfe88a3aae0ed2b4779a118fb89549d178edefd5667caae037bce1020fc3d"
"""SHA-256 of the shipped file. With another one, ``detector.known_answer`` has to be measured anew."""

_CUSTOM = f"{SHIPPED_NAME} (not the shipped weights)"

METADATA_KEY = "bcd"

SECOND_STAGE_KEY = "second_look"
"""Name of the second stage in weight files, model cards and digests of recipes, which must not change."""


@dataclass(frozen=True, slots=True)
class WeightsInfo:
    """What a weight file says of itself.

    Attributes:
        identity: by the name that it gives itself, unless that is the name of the shipped weights and it
            holds others.
    """

    path: Path
    identity: ModelIdentity
    operating_point: OperatingPoint
    metadata: dict[str, Any]

    @property
    def shipped(self) -> bool:
        """Whether these are the weights that this software was released with, to the byte."""
        return self.identity.digest == SHIPPED_DIGEST

    @property
    def card(self) -> dict[str, Any]:
        """Training data, command, seed and cross-validated figures."""
        card: dict[str, Any] = self.metadata.get("card", {})
        return card


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("should be one line of text")
    return text


_Line = Annotated[str, AfterValidator(_one_line)]


class _OperatingPoint(BaseModel, strict=True, allow_inf_nan=False):
    threshold: float = Field(ge=0, le=1)
    sensitivity: float | None = Field(ge=0, le=1)
    false_marks_per_film: float | None = Field(ge=0)
    basis: _Line


class _Calibration(BaseModel, strict=True, allow_inf_nan=False):
    slope: float = Field(gt=0)  # else less suspicious marks would have the higher probabilities
    intercept: float


class _Said(BaseModel, strict=True, allow_inf_nan=False):
    """The metadata, but for what makes the network."""

    name: _Line
    version: _Line
    steps_mm: list[Annotated[float, Field(gt=0)]] = Field(min_length=1)
    prevalence: float = Field(gt=0, lt=1)
    calibration: _Calibration
    film_calibration: _Calibration
    heat_calibration: _Calibration
    operating_point: _OperatingPoint
    card: dict[str, Any] = {}


def read_info(path: Path | None = None) -> WeightsInfo:
    """Return what the weight file ``path`` (by default the shipped one) says of itself.

    Raises:
        ModelError: the file is missing, damaged or not a BCD weight file, or the shipped one has changed.
    """
    return read_weights(path)[0]


def read_weights(path: Path | None = None) -> tuple[WeightsInfo, bytes]:
    """Return what ``read_info`` does, and the content of the file, read once.

    Raises:
        ModelError: as ``read_info``.
    """
    path = path or SHIPPED
    remedy = "name a file made by 'bcd-admin train', or leave BCD_MODEL unset for the shipped one"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the weight file cannot be read: {error.strerror}", remedy, path) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHIPPED_DIGEST and path.resolve() == SHIPPED.resolve():
        detail = "is not the weight file that this software was released with"
        raise ModelError(detail, "install bcd-cad again, or name weights of your own in BCD_MODEL", path)
    try:
        # The format: 8 bytes little-endian length, then a JSON header of that length.
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        metadata = json.loads(header["__metadata__"][METADATA_KEY])
        said = _Said.model_validate(metadata)
    except ValidationError as error:
        raise ModelError(
            f"is not a BCD weight file of this version: {first_fault(error)}", remedy, path
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError("is not a BCD weight file", remedy, path) from error
    # As 'bcd-admin train' calls what it makes.
    name = _CUSTOM if said.name == SHIPPED_NAME and digest != SHIPPED_DIGEST else said.name
    identity = ModelIdentity(name, said.version, digest)
    operating_point = OperatingPoint(prevalence=said.prevalence, **dict(said.operating_point))
    return WeightsInfo(path, identity, operating_point, metadata), content
