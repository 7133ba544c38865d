"""The weight files that ship, and what they say of themselves; reads no network and no torch.

A weight file is one safetensors file. Its metadata entry ``bcd`` is a JSON object:

========================  =====================================================================
``name``, ``version``     the model's identity, with the file's SHA-256 as digest
``network``, ``units``    class in ``bcd_model.detector.network`` and width of its dense layer
``steps_mm``              pixel spacings of the scan's levels
``prevalence``            share of abnormal films, in (0, 1), where the probabilities hold
``calibration``           Platt scaling of a mark's score: ``slope``, ``intercept``
``film_calibration``      the same for a film's highest score
``heat_calibration``      the same for the network's own score, before a second look
``operating_point``       ``threshold`` on the calibrated P(abnormal), with its measured figures
``card``                  training data and its digest, command, seed, cross-validated figures
========================  =====================================================================

Tensors whose names begin with ``second_look.`` are those of ``detector.second_look``; the others are
the network's.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bcd_model.errors import ModelError
from bcd_model.words import ModelIdentity, OperatingPoint

SHIPPED = Path(__file__).with_name("bcd-scan.safetensors")
"""The weights used unless others are named."""

SHIPPED_NAME = "bcd-scan"

SHIPPED_DIGEST = "300dfe88a3aae0ed2b4779a118fb89549d178edefd5667caae037bce1020fc3d"
"""SHA-256 of the shipped file. With another one, ``detector.known_answer`` has to be measured anew."""

_CUSTOM = f"{SHIPPED_NAME} (not the shipped weights)"

METADATA_KEY = "bcd"


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
    def prevalence(self) -> float:
        """Share of films with an abnormality where its probabilities hold."""
        return self.operating_point.prevalence

    @property
    def card(self) -> dict[str, Any]:
        """Training data, command, seed and cross-validated figures."""
        card: dict[str, Any] = self.metadata.get("card", {})
        return card


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
        point = metadata["operating_point"]
        name = _text(metadata["name"])
        if name == SHIPPED_NAME and digest != SHIPPED_DIGEST:  # as 'bcd-admin train' calls what it makes
            name = _CUSTOM
        identity = ModelIdentity(name, _text(metadata["version"]), digest)
        operating_point = OperatingPoint(
            _threshold(point["threshold"]),
            _prevalence(metadata["prevalence"]),
            _measured(point["sensitivity"], most=1),
            _measured(point["false_marks_per_film"], most=math.inf),
            _text(point["basis"]),
        )
        _card(metadata.get("card", {}))
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        raise ModelError("is not a BCD weight file", remedy, path) from error
    return WeightsInfo(path, identity, operating_point, metadata), content


def _threshold(value: Any) -> float:
    if isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(f"{value} is no probability")
    return float(value)


def _measured(value: Any, most: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not 0 <= value <= most or not math.isfinite(value):
        raise ValueError(f"{value} is no figure")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise TypeError(f"{value} is no line of text")
    return value


def _card(value: Any) -> None:
    if not isinstance(value, dict):
        raise TypeError(f"{value} is no model card")


def _prevalence(value: Any) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{value} is no share of films")
    return float(value)
