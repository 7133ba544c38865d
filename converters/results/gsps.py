"""Grayscale Softcopy Presentation State (PS3.3 A.33.1): the findings as graphics over one film.

A presentation state replaces the film's own display pipeline (PS3.4 N.2), so what the film says
of its grey scale is repeated here: without it a viewer would show raw values.
"""

from __future__ import annotations

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from bcd_model.words import Point
from converters.dicom.file import text
from converters.films.pixels.lookup_tables import LookUpTable
from converters.results import film_facts, wording
from converters.results.modules import (
    PRESENTATION,
    clean,
    content_description,
    new_object,
    series_references,
)
from converters.results.pictures import labels
from converters.results.pictures.labels import Box
from converters.results.study_result import Reference, ScannedFilm, StudyResult

_WORDS = 1 << 16
_LONG_STRING = 64
"""Characters that an LO holds (PS3.5 6.2)."""

# Graphic layers, in drawing order: name, description, CIELab (L*, a*, b*).
_LAYERS = {
    "BCD_TEXT": ("What was found, and warnings", (100.0, 0.0, 0.0)),
    "BCD_BENIGN": ("Findings more likely benign", (90.0, -48.0, -14.0)),
    "BCD_MALIGNANT": ("Findings more likely malignant", (74.0, 24.0, 79.0)),
}

# Where the text on the film as a whole stands, as parts of the display's height.
_CAPTION = {"top": (0.01, 0.08), "bottom": (0.92, 0.99)}
_CAPTION_HEIGHT = 0.08


def build_presentation(result: StudyResult, film: ScannedFilm, reference: Reference, number: int) -> Dataset:
    """The presentation state of ``film``, to which ``reference`` points; ``number`` its Instance Number."""
    size = rows, columns = film.film.shape
    state = new_object(result, PRESENTATION, film, number)
    state.Laterality = film_facts.laterality(film)
    state.ContentLabel = "BCD_CAD"
    state.ContentDescription = content_description("BCD findings", film)
    state.ContentCreatorName = None
    state.PresentationCreationDate, state.PresentationCreationTime = state.SeriesDate, state.SeriesTime
    state.ReferencedSeriesSequence = _image_only(series_references([reference]))
    _add_gray_scale(state, film)

    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [columns, rows]
    area.PresentationSizeMode = "SCALE TO FIT"
    if film.film.spacing_assumed:
        area.PresentationPixelAspectRatio = [1, 1]
    else:
        area.PresentationPixelSpacing = [_decimal(value) for value in film.film.spacing]
    state.DisplayedAreaSelectionSequence = [area]

    presented = wording.presented(film, result)
    texts = [clean(wording.finding_label(finding, index)) for index, finding in presented]
    outlines = [film_facts.on_film(finding.outline, size) for _, finding in presented]
    strip = _CAPTION[labels.end_for_caption(_CAPTION_HEIGHT * rows, outlines, rows)]
    font = labels.font_of(size)
    taken = Box(strip[0] * rows, 0.0, (strip[1] - strip[0]) * rows, columns)
    boxes = labels.place([labels.size_of(label, font) for label in texts], outlines, size, [taken])

    annotations = {"BCD_TEXT": [_caption(film, result, strip)]}
    for (_, finding), shown, outline, box in zip(presented, texts, outlines, boxes, strict=True):
        layer = f"BCD_{finding.label.upper()}"
        annotations.setdefault(layer, []).append(_annotation(shown, outline, box))
    layers = [name for name in _LAYERS if name in annotations]
    state.GraphicLayerSequence = [_layer(name, order) for order, name in enumerate(layers, start=1)]
    state.GraphicAnnotationSequence = []
    for name in layers:
        for annotation in annotations[name]:
            annotation.GraphicLayer = name
            state.GraphicAnnotationSequence.append(annotation)
    return state


def _image_only(series: list[Dataset]) -> list[Dataset]:
    """Turn SR's reference to a series into a presentation state's (PS3.3 C.11.11)."""
    for item in series:
        item.ReferencedImageSequence = item.ReferencedSOPSequence
        del item.ReferencedSOPSequence
    return series


def _add_gray_scale(state: Dataset, film: ScannedFilm) -> None:
    """Modality LUT, Softcopy VOI LUT and Softcopy Presentation LUT (PS3.3 C.11.1, C.11.8, C.11.6).

    As the scan saw the film: what was corrected of its gray scale, or taken in its place, is written so.
    """
    shown = film.gray_scale
    if isinstance(shown.modality, LookUpTable):
        item = _table(shown.modality, shown.modality_item)
        item.ModalityLUTType = _unit(shown.modality_item or Dataset(), "ModalityLUTType")
        state.ModalityLUTSequence = [item]
    elif shown.modality is not None:
        state.RescaleIntercept = format_number_as_ds(shown.modality.intercept)
        state.RescaleSlope = format_number_as_ds(shown.modality.slope)
        state.RescaleType = _unit(film.header, "RescaleType")

    voi = Dataset()
    if isinstance(shown.voi, LookUpTable):
        voi.VOILUTSequence = [_table(shown.voi, shown.voi_item)]
    elif shown.voi is not None:
        voi.WindowCenter = format_number_as_ds(shown.voi.center)
        voi.WindowWidth = format_number_as_ds(shown.voi.width)
        if shown.voi.function != "LINEAR" or text(film.header, "VOILUTFunction"):
            voi.VOILUTFunction = shown.voi.function
    if voi:
        state.SoftcopyVOILUTSequence = [voi]

    # A presentation state's output is P-values whatever the image's photometric interpretation
    # (PS3.4 N.2.4): MONOCHROME1 needs the inversion said.
    state.PresentationLUTShape = "INVERSE" if shown.inverse else "IDENTITY"


def _unit(source: Dataset, keyword: str) -> str:
    """What the modality transformation leads to; US is unspecified (PS3.3 C.11.1.1.2)."""
    return clean(text(source, keyword))[:_LONG_STRING] or "US"


def _table(table: LookUpTable, source: Dataset | None) -> Dataset:
    """A LUT as it was read: of 16-bit words, with the number of entries and of bits that there are.

    LUT Descriptor (0028,3002) is signed if the first value mapped is negative (PS3.3 C.11.1.1).
    """
    item = Dataset()
    vr = "SS" if table.first < 0 else "US"
    # The number of entries is unsigned whatever the VR, and is written so.
    descriptor = [table.entries.size % _WORDS, table.first, table.bits]
    item.add(DataElement("LUTDescriptor", vr, descriptor, already_converted=True))
    explanation = clean(str((source or Dataset()).get("LUTExplanation") or ""))
    if explanation:
        item.LUTExplanation = explanation[:_LONG_STRING]
    item.add_new("LUTData", "OW", table.entries.astype("<u2").tobytes())
    return item


def _caption(film: ScannedFilm, result: StudyResult, strip: tuple[float, float]) -> Dataset:
    """The text on the film as a whole, warnings included, in a ``strip`` of the display's height."""
    caption = Dataset()
    caption.BoundingBoxAnnotationUnits = "DISPLAY"
    caption.UnformattedTextValue = "\r\n".join(wording.film_caption(film, result))[:1024]
    caption.BoundingBoxTopLeftHandCorner = [0.02, strip[0]]
    caption.BoundingBoxBottomRightHandCorner = [0.98, strip[1]]
    caption.BoundingBoxTextHorizontalJustification = "LEFT"
    annotation = Dataset()
    annotation.TextObjectSequence = [caption]
    return annotation


def _annotation(shown: str, outline: tuple[Point, ...], box: Box) -> Dataset:
    """Outline of a finding with its label in ``box`` (PS3.3 C.10.5); a viewer ties it if it is not beside.

    How large the letters are is the viewer's to say; the box has the size that they have in the overlay.
    """
    points = film_facts.closed(outline)
    graphic = Dataset()
    graphic.GraphicAnnotationUnits = "PIXEL"
    graphic.GraphicDimensions = 2
    graphic.NumberOfGraphicPoints = len(points)
    graphic.GraphicData = film_facts.graphic_data(points)
    graphic.GraphicType = "POLYLINE"
    graphic.GraphicFilled = "N"
    label = Dataset()
    label.BoundingBoxAnnotationUnits = label.AnchorPointAnnotationUnits = "PIXEL"
    label.UnformattedTextValue = shown
    label.BoundingBoxTopLeftHandCorner = [box.left, box.top]
    label.BoundingBoxBottomRightHandCorner = [box.left + box.width, box.top + box.height]
    label.BoundingBoxTextHorizontalJustification = "LEFT"
    tie = labels.tie(box, outline)
    label.AnchorPoint = [tie.end[1], tie.end[0]]
    label.AnchorPointVisibility = "Y" if tie.length > box.height else "N"
    annotation = Dataset()
    annotation.TextObjectSequence = [label]
    annotation.GraphicObjectSequence = [graphic]
    return annotation


def _layer(name: str, order: int) -> Dataset:
    description, (lightness, a, b) = _LAYERS[name]
    layer = Dataset()
    layer.GraphicLayer = name
    layer.GraphicLayerOrder = order
    # Scaled to 16 bits as PS3.3 C.10.7.1.1 says.
    layer.GraphicLayerRecommendedDisplayCIELabValue = [
        round(lightness / 100 * 65535),
        round((a + 128) / 255 * 65535),
        round((b + 128) / 255 * 65535),
    ]
    layer.GraphicLayerDescription = description
    return layer


def _decimal(value: float) -> str:
    """``value`` as a Decimal String of at most 16 characters (PS3.5 6.2)."""
    return f"{value:.6g}"
