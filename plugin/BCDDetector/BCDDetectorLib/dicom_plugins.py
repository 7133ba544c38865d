"""What the two DICOM plugins have in common. Slicer's own classes are theirs to import."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from .errors import InputError

_CONFIDENCE = 0.95  # of 1; above what Slicer's own volume reader says


def loadables(
    file_lists: Iterable[Iterable[str]], examine: Callable[[str], Any | None], plugin: str
) -> list[Any]:
    """What ``examine`` makes of each file of these lists.

    Args:
        examine: gives a loadable, or None for a file that is not for this plugin. Where it raises InputError
            the file is left out, and the log says so.
        plugin: its name, for the log.
    """
    found = []
    for files in file_lists:
        for file in files:
            try:
                loadable = examine(file)
            except InputError as error:
                logging.warning("%s: %s", plugin, error.message)
                continue
            if loadable is not None:
                found.append(loadable)
    return found


def fill(loadable: Any, file: str, name: str, tooltip: str) -> Any:
    """``loadable`` for one file, chosen before what others offer for it; returns it."""
    loadable.files = [file]
    loadable.name = name
    loadable.tooltip = tooltip
    loadable.selected = True
    loadable.confidence = _CONFIDENCE
    return loadable


def register(modules: Any, parent: Any, plugin: type, title: str, help_text: str) -> None:
    """Make ``plugin`` known to Slicer; its module has the same name without ``Class``.

    Args:
        modules: ``slicer.modules``.
        parent: what Slicer shows of the plugin's module.
    """
    parent.title = title
    parent.categories = ["Developer Tools.DICOM Plugins"]
    parent.contributors = ["BCD contributors"]
    parent.helpText = help_text
    parent.hidden = True
    plugins = getattr(modules, "dicomPlugins", None)
    if plugins is None:
        plugins = modules.dicomPlugins = {}
    plugins[plugin.__name__.removesuffix("Class")] = plugin
