"""Gateway and Scan: address, token, Test connection, input, Apply, progress, Cancel."""

from __future__ import annotations

from typing import Any, Callable

from BCDDetectorLib import rules
from BCDDetectorLib.address import keep_address, kept_address
from BCDDetectorLib.client import Gateway
from BCDDetectorLib.errors import CancelledError, DetectorError, InputError
from BCDDetectorLib.jobs import ScanOutcome
from BCDDetectorLib.secondary_capture import Description
from BCDDetectorLib.session import Session
from BCDDetectorLib.tasks import Progress
from BCDDetectorUI.dialogs import attempt
from BCDDetectorUI.runner import Runner

_STEPS = 1000


class ScanPanel:
    """The upper half of the panel.

    Args:
        store: QSettings, for the address.
        changed: called when the scene has another result.
        chosen: called when another film is chosen.
    """

    def __init__(
        self,
        ui: Any,
        session: Session,
        dialogs: Any,
        store: Any,
        changed: Callable[[], None],
        chosen: Callable[[], None],
    ) -> None:
        self._ui, self._session, self._dialogs, self._store = ui, session, dialogs, store
        self._changed, self._chosen = changed, chosen
        self._agreed: set[tuple[str, str]] = set()  # (address, study) that this session may send
        self._warned: set[str] = set()  # addresses to which the token may go over an open line
        self.runner, self._tester = Runner(), Runner()
        ui.progressBar.visible = False
        ui.addressEdit.text = kept_address(store)
        ui.addressEdit.connect("textChanged(QString)", self._on_typed)
        ui.addressEdit.connect("editingFinished()", self._on_address)
        ui.tokenEdit.connect("textChanged(QString)", self._on_typed)
        ui.testButton.connect("clicked(bool)", self._on_test)
        ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._on_input)
        ui.spacingSpin.connect("valueChanged(double)", self._on_typed)
        ui.applyButton.connect("clicked(bool)", self._on_apply)
        ui.cancelButton.connect("clicked(bool)", self._on_cancel)

    def gateway(self) -> Gateway:
        """The gateway as it is entered.

        Raises:
            InputError: the address is none.
        """
        return Gateway(self._ui.addressEdit.text, self._ui.tokenEdit.text)

    def agree(self, study: str, films: int, size: int) -> bool:
        """Whether the user agrees that films are sent; asked once for each address, study and session."""
        address = self.gateway().address
        if (address, study) not in self._agreed:
            if not self._dialogs.confirm(rules.consent(address, films, size)):
                return False
            self._agreed.add((address, study))
        return True

    def _agree_to_open_line(self, address: str) -> bool:
        """Whether the token may be sent where others can read it; asked once for each address and session."""
        if not rules.is_private(address) and address not in self._warned:
            if not self._dialogs.confirm(rules.open_line(address)):
                return False
            self._warned.add(address)
        return True

    def refresh(self) -> None:
        """Bring the widgets up to date with the scene."""
        session, ui = self._session, self._ui
        session.choose_default()
        ui.inputSelector.setCurrentNode(session.volume)
        lacks_origin = session.volume is not None and not session.has_origin
        ui.originWidget.visible = lacks_origin
        self._refresh_buttons()

    def _refresh_buttons(self) -> None:
        session, ui = self._session, self._ui
        films = len(session.sources())
        reason = rules.why_not(
            has_volume=session.volume is not None,
            has_origin=session.has_origin,
            films=films,
            spacing=ui.spacingSpin.value,
            address=ui.addressEdit.text,
            token=ui.tokenEdit.text,
            busy=self.runner.busy,
        )
        ui.applyButton.enabled = not reason
        sent = f"{films} film{'s' if films != 1 else ''} of this study" if films else "this film"
        ui.applyButton.toolTip = reason or f"Send {sent} to the gateway and show what it finds."
        ui.cancelButton.enabled = self.runner.busy

    def leave_scene(self) -> None:
        """The scene closes: let go of the job."""
        if self.runner.busy:
            self.runner.abandon()
            self._end("The scene was closed; a submitted scan goes on at the gateway and can be found again.")

    def close(self) -> None:
        """The module goes away."""
        self.runner.abandon()
        self._tester.abandon()

    def _on_typed(self, _value: Any) -> None:
        self._ui.connectionLabel.text = ""
        self._refresh_buttons()

    def _on_address(self) -> None:
        keep_address(self._store, self._ui.addressEdit.text)

    def _on_input(self, node: Any) -> None:
        if node is not self._session.volume:
            self._session.state.input = node
            self._chosen()

    def _on_test(self, _checked: bool = False) -> None:
        ui = self._ui
        try:
            gateway = self.gateway()
        except InputError as error:
            ui.connectionLabel.text = rules.connection_text(error)
            return
        if not self._agree_to_open_line(gateway.address):
            ui.connectionLabel.text = "Nothing was sent."
            return
        ui.testButton.enabled = False
        ui.connectionLabel.text = "Asking ..."
        self._tester.start(
            lambda task: gateway.info(), lambda progress: None, self._on_tested, self._on_tested
        )

    def _on_tested(self, outcome: Any) -> None:
        self._ui.testButton.enabled = True
        self._ui.connectionLabel.text = rules.connection_text(outcome)

    def _on_apply(self, _checked: bool = False) -> None:
        attempt(self._dialogs, self._apply)

    def _apply(self) -> None:
        ui, session = self._ui, self._session
        gateway, description = self.gateway(), self.description()
        if session.has_result_under_other(description) and not self._dialogs.confirm(rules.OTHER_FILM):
            ui.statusLabel.text = "Nothing was sent."
            return
        study, found = session.prepare(description)
        if not self.agree(study, len(found), sum(source.path.stat().st_size for source in found)):
            ui.statusLabel.text = "Nothing was sent."
            return
        keep_address(self._store, ui.addressEdit.text)
        ui.progressBar.visible = True
        work = session.scan(gateway, study, found, bool(ui.againCheck.checked))
        self.runner.start(work, self._on_progress, self._on_done, self._on_failed)
        self._refresh_buttons()

    def description(self) -> Description:
        """What the user says of a volume without DICOM origin."""
        ui = self._ui
        side, view, spacing = ui.sideCombo.currentText, ui.viewCombo.currentText, ui.spacingSpin.value
        return Description(
            (spacing, spacing),
            side if side in ("L", "R") else None,
            view if view in ("MLO", "CC") else None,
        )

    def _on_cancel(self, _checked: bool = False) -> None:
        self.runner.cancel()
        self._ui.statusLabel.text = "Cancelling ..."
        self._ui.cancelButton.enabled = False

    def _on_progress(self, progress: Progress) -> None:
        bar = self._ui.progressBar
        bar.maximum = _STEPS if progress.fraction is not None else 0  # 0: moves without an end
        if progress.fraction is not None:
            bar.value = int(_STEPS * progress.fraction)
        self._ui.statusLabel.text = progress.text

    def _on_done(self, outcome: ScanOutcome) -> None:
        try:
            text = self._session.finish(outcome)
        except DetectorError as error:
            self._on_failed(error)
            return
        self._end(text)
        self._changed()

    def _on_failed(self, error: DetectorError) -> None:
        if isinstance(error, CancelledError):
            self._end("Cancelled.")
            return
        self._end(error.message)
        self._dialogs.error(error)

    def _end(self, text: str) -> None:
        self._ui.progressBar.visible = False
        self._ui.statusLabel.text = text
        self._refresh_buttons()
