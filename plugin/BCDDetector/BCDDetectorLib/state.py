"""The panel's choices that are saved with the scene: input, threshold, heat map."""

from __future__ import annotations

from typing import Any

from . import nodes

MODULE = "BCDDetector"
_INPUT = "InputVolume"


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

    @property
    def threshold(self) -> float:
        """On P(abnormal), in [0, 1]."""
        return float(self.node.GetParameter("Threshold") or 0.5)

    @threshold.setter
    def threshold(self, value: float) -> None:
        self.node.SetParameter("Threshold", repr(float(value)))

    @property
    def heat_map(self) -> bool:
        """Whether heat maps are shown."""
        return bool(self.node.GetParameter("HeatMap") == "1")

    @heat_map.setter
    def heat_map(self, on: bool) -> None:
        self.node.SetParameter("HeatMap", "1" if on else "0")

    @property
    def opacity(self) -> float:
        """Of the heat map, in [0, 1]."""
        return float(self.node.GetParameter("Opacity") or 0.4)

    @opacity.setter
    def opacity(self, value: float) -> None:
        self.node.SetParameter("Opacity", repr(float(value)))
