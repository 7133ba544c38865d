"""Heat map as a Segmentation (PS3.3 A.51), FRACTIONAL and PROBABILITY: one per film.

A film has no frame of reference. Then the standard leaves one way to say where a segment lies: "the
segmentation instance shall have the same spatial sampling and extent as the referenced images"
(A.51.1, A.51.5.1). So each pixel of the film has its probability here: that of the place of the
scan's grid whose centre is nearest. Nothing is interpolated, and a reader lays the object
on the film pixel by pixel. RLE packs the repeated values to about 30 kB a film of 1024 x 1024, and
every reader of DICOM decodes it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from bcd_model.words import HeatMap
from converters import codes
from converters.product import RESEARCH
from converters.results import film_facts, wording
from converters.results.modules import HEAT_MAP, clean, content_description, new_object
from converters.results.study_result import FilmResult, Reference, ScannedFilm, StudyResult

MAXIMUM = 255
"""Maximum Fractional Value (0062,000E): what stands for a probability of 1."""


def on_film(heat: HeatMap, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """``heat`` on the grid of a film of ``shape``: (rows, columns), probabilities times `MAXIMUM`."""
    scaled = np.rint(np.clip(heat.values, 0.0, 1.0) * MAXIMUM).astype(np.uint8)
    rows, columns = (
        np.rint((np.arange(length) - origin) / step).clip(0, places - 1).astype(np.intp)
        for length, origin, step, places in zip(shape, heat.origin, heat.step, scaled.shape, strict=True)
    )
    return scaled[np.ix_(rows, columns)]


def build_heat_map(result: StudyResult, film: ScannedFilm, reference: Reference, number: int) -> Dataset:
    """The heat map of ``film``, which ``reference`` points to; ``number`` is its Instance Number."""
    heat = new_object(result, HEAT_MAP, film, number)
    heat.DeviceSerialNumber = clean(result.model.digest)[:64]
    heat.ImageType = ["DERIVED", "PRIMARY"]
    heat.ContentDate, heat.ContentTime = heat.SeriesDate, heat.SeriesTime
    heat.PatientOrientation = list(film_facts.orientation(film) or ()) or None
    heat.BurnedInAnnotation = "NO"
    heat.ContentLabel = "BCD_HEATMAP"
    heat.ContentDescription = content_description("Probability of abnormality", film)
    heat.ContentCreatorName = None
    film_facts.add_loss(heat, film.header)
    heat.SegmentationType = "FRACTIONAL"
    heat.SegmentationFractionalType = "PROBABILITY"
    heat.MaximumFractionalValue = MAXIMUM
    heat.SegmentsOverlap = "NO"
    heat.SegmentSequence = [_segment(result, film)]
    _add_frame(heat, result.job.uid("dimension", reference.sop_instance_uid), reference)

    heat.SamplesPerPixel = 1
    heat.PhotometricInterpretation = "MONOCHROME2"
    heat.Rows, heat.Columns = film.film.shape
    heat.BitsAllocated = heat.BitsStored = 8
    heat.HighBit = 7
    heat.PixelRepresentation = 0
    heat.compress(RLELossless, on_film(film.scan.heat_map, film.film.shape), generate_instance_uid=False)
    return heat


def _segment(result: StudyResult, film: FilmResult) -> Dataset:
    """The one segment: what lies here is abnormal (PS3.3 C.8.20.4)."""
    model = result.model
    name, version = clean(model.name)[:64], clean(model.version)[:64]
    algorithm = Dataset()
    algorithm.AlgorithmFamilyCodeSequence = [codes.ARTIFICIAL_INTELLIGENCE.item()]
    algorithm.AlgorithmName = name
    algorithm.AlgorithmVersion = version
    algorithm.AlgorithmParameters = clean(f"SHA-256 of the weights {model.digest}")
    region = codes.BREAST.item()
    side = film_facts.laterality(film)
    if side is not None:
        region.AnatomicRegionModifierSequence = [codes.SIDES[side].item()]
    segment = Dataset()
    segment.SegmentNumber = 1
    segment.SegmentLabel = "P(abnormal)"
    segment.SegmentDescription = clean(
        f"Probability of a benign or malignant abnormality, by the scanning network alone; "
        f"{wording.prevalence(result.operating_point.prevalence)}. Those of findings may rest on a second "
        f"stage too: do not compare them, or their threshold, with this map. {RESEARCH}."
    )
    segment.SegmentAlgorithmType = "AUTOMATIC"
    segment.SegmentAlgorithmName = name
    segment.SegmentationAlgorithmIdentificationSequence = [algorithm]
    segment.SegmentedPropertyCategoryCodeSequence = [codes.ABNORMAL_STRUCTURE.item()]
    segment.SegmentedPropertyTypeCodeSequence = [codes.LESION.item()]
    segment.AnatomicRegionSequence = [region]
    return segment


def _add_frame(heat: Dataset, dimension_uid: str, reference: Reference) -> None:
    """Multi-frame modules (PS3.3 C.7.6.16, C.7.6.17): one frame, derived from one film, same pixels."""
    organization = Dataset()
    organization.DimensionOrganizationUID = dimension_uid
    index = Dataset()
    index.DimensionOrganizationUID = dimension_uid
    index.DimensionIndexPointer = 0x0062000B  # Referenced Segment Number
    index.FunctionalGroupPointer = 0x0062000A  # Segment Identification Sequence
    index.DimensionDescriptionLabel = "Segment"
    heat.DimensionOrganizationSequence = [organization]
    heat.DimensionIndexSequence = [index]

    source = reference.item()
    source.PurposeOfReferenceCodeSequence = [codes.SOURCE_IMAGE.item()]
    source.SpatialLocationsPreserved = "YES"
    derivation = Dataset()
    derivation.DerivationDescription = "Scan of the film; each pixel has the value of the nearest place"
    derivation.DerivationCodeSequence = [codes.SEGMENTATION.item()]
    derivation.SourceImageSequence = [source]
    segment = Dataset()
    segment.ReferencedSegmentNumber = 1
    content = Dataset()
    content.DimensionIndexValues = 1
    shared, frame = Dataset(), Dataset()
    shared.SegmentIdentificationSequence = [segment]
    frame.FrameContentSequence = [content]
    frame.DerivationImageSequence = [derivation]
    heat.SharedFunctionalGroupsSequence = [shared]
    heat.PerFrameFunctionalGroupsSequence = [frame]
    heat.NumberOfFrames = 1

    instance = reference.item()
    series = Dataset()
    series.SeriesInstanceUID = reference.series_instance_uid
    series.ReferencedInstanceSequence = [instance]
    heat.ReferencedSeriesSequence = [series]
