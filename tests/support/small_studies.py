"""A model and studies that take no time: random weights, phantoms of 256 pixels."""

from __future__ import annotations

from pathlib import Path

import torch

from bcd_model.detector.model import save_model
from bcd_model.detector.network import ScanningBCDCNN, initialise
from bcd_model.words import OperatingPoint
from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import convert_mias


def make_weights(path: Path, seed: int) -> Path:
    torch.set_num_threads(1)
    network = ScanningBCDCNN(8)
    initialise(network, seed)
    save_model(
        path,
        network,
        name="tiny",
        version=str(seed),
        steps_mm=(1.6,),
        operating_point=OperatingPoint(0.3, 0.4, basis="random weights, for tests"),
    )
    return path


def make_studies(folder: Path, patients: int, side: int, seed: int = 0) -> Path:
    write_phantom(folder / "films", patients=patients, seed=seed, shape=(side, side))
    convert_mias(folder / "films", folder / "dicom")
    return folder / "dicom"
