"""The panel's choices that are saved with the scene: input, threshold, heat map."""

from __future__ import annotations

from typing import Any

from . import nodes

MODULE = "BCDDetector"
_INPUT = "InputVolume"


def _number(name: str, default: float, what: str) -> Any:
    """A property that is a number in the parameter node."""

    def value(state: State) -> float:
        return float(state.node.GetParameter(name) or default)

    def keep(state: State, number: float) -> None:
        state.node.SetParameter(name, repr(float(number)))

    return property(value, keep, doc=what)


class State:
    """A view of the module's parameter node (a singleton of the scene, as Slicer's own modules have)."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene

    @property
    def node(self) -> Any:
        """The node; made when it is first asked for."""
        for node in nodes.nodes(self._scene, "vtkMRMLScriptedModuleNode"):
            if node.GetModuleName() == MODULE:
                return node
        node = self._scene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetSingletonTag(MODULE)
        node.SetModuleName(MODULE)
        return self._scene.AddNode(node)

    @property
    def input(self) -> Any:
        """The chosen volume, or None."""
        return self.node.GetNodeReference(_INPUT)

    @input.setter
    def input(self, volume: Any) -> None:
        self.node.SetNodeReferenceID(_INPUT, volume.GetID() if volume is not None else None)

    threshold = _number("Threshold", 0.5, "On P(abnormal), in [0, 1].")
    opacity = _number("Opacity", 0.4, "Of the heat map, in [0, 1].")

    @property
    def heat_map(self) -> bool:
        """Whether heat maps are shown."""
        return bool(self.node.GetParameter("HeatMap") == "1")

    @heat_map.setter
    def heat_map(self, on: bool) -> None:
        self.node.SetParameter("HeatMap", "1" if on else "0")
