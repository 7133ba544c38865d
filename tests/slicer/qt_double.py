"""A double of PythonQt's manners on PySide6, for what the panel uses of them.

PythonQt, Slicer's binding, shows Qt's properties as attributes (``button.enabled = False``), connects by the
signal's signature (``button.connect("clicked(bool)", f)``) and shows other methods as they are. Here a proxy
does so around PySide6's objects. It proves control flow and that the ``.ui`` file loads, not PythonQt itself.
"""

from __future__ import annotations

import types
from typing import Any, ClassVar

from PySide6 import QtCore, QtGui, QtWidgets


class Proxy:
    """One QObject as PythonQt shows it."""

    def __init__(self, target: QtCore.QObject) -> None:
        object.__setattr__(self, "_target", target)

    def _property(self, name: str) -> bool:
        return self._target.metaObject().indexOfProperty(name) >= 0

    def __getattr__(self, name: str) -> Any:
        target = object.__getattribute__(self, "_target")
        if target.metaObject().indexOfProperty(name) >= 0:
            return wrap(target.property(name))
        found = getattr(target, name)  # AttributeError if Qt has none, as in PythonQt
        if isinstance(found, QtCore.SignalInstance):
            return found
        return (lambda *given: wrap(found(*map(unwrap, given)))) if callable(found) else found

    def __setattr__(self, name: str, value: Any) -> None:
        if not self._property(name):
            raise AttributeError(f"{type(self._target).__name__} has no property {name}")
        if not self._target.setProperty(name, unwrap(value)):
            raise TypeError(f"{name} does not take {value!r}")

    def connect(self, signature: str, slot: Any) -> bool:
        """Connect ``slot`` to the signal of this signature; a wrong one is an error, not a silence."""
        if self._target.metaObject().indexOfSignal(signature) < 0:
            raise ValueError(f"{type(self._target).__name__} has no signal {signature}")
        getattr(self._target, signature.split("(")[0]).connect(slot)
        return True


def wrap(value: Any) -> Any:
    """A QObject becomes a proxy; anything else stays."""
    return Proxy(value) if isinstance(value, QtCore.QObject) else value


def unwrap(value: Any) -> Any:
    """A proxy becomes its QObject again."""
    return object.__getattribute__(value, "_target") if isinstance(value, Proxy) else value


class Timer(Proxy):
    """qt.QTimer."""

    def __init__(self) -> None:
        super().__init__(QtCore.QTimer())

    @staticmethod
    def singleShot(milliseconds: int, slot: Any) -> None:
        QtCore.QTimer.singleShot(milliseconds, slot)


class Settings:
    """qt.QSettings that forgets with the process; ``kept`` is what was written."""

    kept: ClassVar[dict[str, Any]] = {}  # one store for all, as QSettings is

    def value(self, key: str) -> Any:
        return self.kept.get(key)

    def setValue(self, key: str, value: Any) -> None:
        self.kept[key] = value


def module() -> types.ModuleType:
    """The module ``qt``."""
    qt = types.ModuleType("qt")
    qt.QTimer = Timer
    qt.QSettings = Settings
    qt.QTableWidgetItem = QtWidgets.QTableWidgetItem
    qt.QFileDialog = QtWidgets.QFileDialog
    qt.QDesktopServices = QtGui.QDesktopServices
    qt.QUrl = QtCore.QUrl
    return qt
