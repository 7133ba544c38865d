"""The modules ``slicer``, ``qt`` and ``slicer.ScriptedLoadableModule`` for the panel's tests.

The MRML scene is the real one of slicer-core; the application around it, its Qt base classes and the
qMRML and ctk widgets of the ``.ui`` file are small stand-ins.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import qt_double
import slicer
from dicomlib_double import Database
from PySide6 import QtCore, QtUiTools, QtWidgets
from qt_double import Proxy, unwrap, wrap


class qMRMLWidget(QtWidgets.QWidget):
    """The root of the panel."""

    def setMRMLScene(self, scene: Any) -> None:
        self.scene = scene


class ctkCollapsibleButton(QtWidgets.QGroupBox):
    """A section; never collapsed here."""

    def _text(self) -> str:
        return self.title()

    text = QtCore.Property(str, _text, lambda self, value: self.setTitle(value))
    collapsed = QtCore.Property(bool, lambda self: False, lambda self, value: None)


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box."""

    valueChanged = QtCore.Signal(float)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._slider.setRange(0, 1000)
        self._spin = QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._spin)
        self._spin.valueChanged.connect(self._on_spin)
        self._slider.valueChanged.connect(lambda step: self._spin.setValue(step / 1000))

    def _on_spin(self, value: float) -> None:
        self._slider.blockSignals(True)
        self._slider.setValue(round(value * 1000))
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    value = QtCore.Property(float, lambda self: self._spin.value(), lambda self, v: self._spin.setValue(v))
    minimum = QtCore.Property(
        float, lambda self: self._spin.minimum(), lambda self, v: self._spin.setMinimum(v)
    )
    maximum = QtCore.Property(
        float, lambda self: self._spin.maximum(), lambda self, v: self._spin.setMaximum(v)
    )
    singleStep = QtCore.Property(
        float, lambda self: self._spin.singleStep(), lambda self, v: self._spin.setSingleStep(v)
    )
    decimals = QtCore.Property(
        int, lambda self: self._spin.decimals(), lambda self, v: self._spin.setDecimals(v)
    )


class qMRMLNodeComboBox(QtWidgets.QComboBox):
    """A list of the scene's nodes of one class."""

    currentNodeChanged = QtCore.Signal(object)
    _signature = "currentNodeChanged(vtkMRMLNode*)"

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._types: list[str] = []
        self._ids: list[str | None] = [None]
        self._scene: Any = None
        self.currentIndexChanged.connect(lambda index: self.currentNodeChanged.emit(self.currentNode()))

    nodeTypes = QtCore.Property("QStringList", lambda self: self._types, lambda self, v: self._set_types(v))
    addEnabled = QtCore.Property(bool, lambda self: False, lambda self, v: None)
    removeEnabled = QtCore.Property(bool, lambda self: False, lambda self, v: None)
    noneEnabled = QtCore.Property(bool, lambda self: True, lambda self, v: None)
    showChildNodeTypes = QtCore.Property(bool, lambda self: False, lambda self, v: None)

    def _set_types(self, types_: list[str]) -> None:
        self._types = list(types_)

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self._fill()
        for event in (
            scene.NodeAddedEvent,
            scene.NodeRemovedEvent,
            scene.EndCloseEvent,
            scene.EndImportEvent,
        ):
            scene.AddObserver(event, lambda caller, name: self._fill())

    def _fill(self) -> None:
        chosen = self._ids[self.currentIndex()] if 0 <= self.currentIndex() < len(self._ids) else None
        self.blockSignals(True)
        self.clear()
        self._ids = [None]
        self.addItem("None")
        for class_name in self._types:
            for index in range(self._scene.GetNumberOfNodesByClass(class_name)):
                node = self._scene.GetNthNodeByClass(index, class_name)
                if not node.GetHideFromEditors():
                    self._ids.append(node.GetID())
                    self.addItem(node.GetName())
        if chosen in self._ids:
            self.setCurrentIndex(self._ids.index(chosen))
        self.blockSignals(False)
        if chosen not in self._ids:
            self.currentNodeChanged.emit(None)

    def currentNode(self) -> Any:
        known = self._ids[self.currentIndex()] if 0 <= self.currentIndex() < len(self._ids) else None
        return self._scene.GetNodeByID(known) if known else None

    def setCurrentNode(self, node: Any) -> None:
        self._fill()
        self.setCurrentIndex(self._ids.index(node.GetID() if node is not None else None))


class ScriptedLoadableModule:
    """Base class of a module."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent


class ScriptedLoadableModuleLogic:
    """Base class of a logic."""


class ScriptedLoadableModuleTest:
    """Base class of a self test."""


class ScriptedLoadableModuleWidget:
    """Base class of a panel: a widget with a layout, and the module's resources."""

    def __init__(self, parent: Any = None) -> None:
        self.parent = QtWidgets.QWidget()
        QtWidgets.QVBoxLayout(self.parent)
        self.layout = Proxy(self.parent.layout())

    def setup(self) -> None:
        """Slicer adds its developer's section here."""

    def resourcePath(self, name: str) -> str:
        return str(Path(sys.modules[type(self).__module__].__file__).parent / "Resources" / name)


class NodeCombo(Proxy):
    """qMRMLNodeComboBox has its nodes as C++ pointers; the signal is known by its C++ signature."""

    def connect(self, signature: str, slot: Any) -> bool:
        if signature == qMRMLNodeComboBox._signature:
            unwrap(self).currentNodeChanged.connect(slot)
            return True
        return super().connect(signature, slot)


def load_ui(path: str) -> Proxy:
    """slicer.util.loadUI."""
    loader = QtUiTools.QUiLoader()
    for kind in (qMRMLWidget, qMRMLNodeComboBox, ctkCollapsibleButton, ctkSliderWidget):
        loader.registerCustomWidget(kind)
    widget = loader.load(path)
    if widget is None:
        raise RuntimeError(loader.errorString())
    return wrap(widget)


def child_widget_variables(widget: Proxy) -> types.SimpleNamespace:
    """slicer.util.childWidgetVariables: every named widget as an attribute."""
    found = types.SimpleNamespace()
    for child in unwrap(widget).findChildren(QtWidgets.QWidget):
        name = child.objectName()
        if name and not name.startswith("qt_"):
            combo = isinstance(child, qMRMLNodeComboBox)
            setattr(found, name, NodeCombo(child) if combo else wrap(child))
    return found


def install(scene: Any, application: Any) -> Database:
    """Make ``import slicer, qt`` find the doubles; returns the DICOM database."""
    database = Database()
    slicer.mrmlScene = scene
    slicer.app = types.SimpleNamespace(applicationLogic=lambda: application)
    slicer.dicomDatabase = database
    slicer.util = types.SimpleNamespace(loadUI=load_ui, childWidgetVariables=child_widget_variables)
    base = types.ModuleType("slicer.ScriptedLoadableModule")
    for kind in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
        ScriptedLoadableModuleWidget,
    ):
        setattr(base, kind.__name__, kind)
    sys.modules["slicer.ScriptedLoadableModule"] = base
    sys.modules["qt"] = qt_double.module()
    return database
