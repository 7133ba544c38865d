"""SHA-256 of films and of sets of films, as model cards and reports name them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import numpy as np

from bcd_model.words import Film, Lesion


def film_digest(film: Film) -> str:
    """Identifies a film by its pixels: the first 16 hex digits of the SHA-256 of them, float32 as read.

    A model card lists those of its training films as ``data.film_digests``.
    """
    return hashlib.sha256(_pixels(film)).hexdigest()[:16]


def truth_digest(film: Film, lesions: Sequence[Lesion]) -> str:
    """SHA-256 of a film's pixels and of its truth."""
    truth = json.dumps([asdict(lesion) for lesion in lesions]).encode()
    return hashlib.sha256(_pixels(film) + truth).hexdigest()


def data_digest(films: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over the names and truth digests of films, whatever their order: a card's ``data.digest``."""
    return lines_digest(sorted(f"{name} {digest}" for name, digest in films))


def lines_digest(lines: Iterable[str]) -> str:
    """SHA-256 of lines of text."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _pixels(film: Film) -> bytes:
    return np.ascontiguousarray(film.pixels).tobytes()
