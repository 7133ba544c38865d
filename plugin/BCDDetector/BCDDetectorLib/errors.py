"""What can go wrong, each with one line for the user and details for its repair.

::

    DetectorError
    ├── GatewayError           between here and the gateway; itself 400, 413, 415, 422, 507: not taken
    │   ├── UnreachableError   nothing answers at the address
    │   ├── RefusedError       401, 403: the token
    │   ├── NotFoundError      404, 409: another service, a job that is gone, or one without results
    │   ├── OverloadedError    503: try again later
    │   │   └── TooManyError   429: this token asks too often
    │   └── BadAnswerError     anything else: not our gateway, or a fault of it
    ├── InputError             the film or report cannot be used
    └── CancelledError         by the user
"""

from __future__ import annotations


class DetectorError(Exception):
    """Root of every error that the panel shows.

    Args:
        message: one line: what is wrong and what to do about it. Slicer logs it: no patient data, and no
            file names, which may hold some.
        details: for ``detailedText``, which is not logged: files, addresses, status, request id.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class GatewayError(DetectorError):
    """Between here and the gateway; by itself: the gateway does not take what was sent."""


class UnreachableError(GatewayError):
    """Nothing answers at the address."""


class RefusedError(GatewayError):
    """The token is missing, wrong or not allowed to do this."""


class NotFoundError(GatewayError):
    """There is no such thing at the address, or it has no results."""


class OverloadedError(GatewayError):
    """The gateway asks to wait.

    Attributes:
        retry_after: seconds, None if it does not say.
    """

    def __init__(self, message: str, details: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, details)
        self.retry_after = retry_after


class TooManyError(OverloadedError):
    """This token has asked too often; nothing is wrong, and a moment later it may ask again."""


class BadAnswerError(GatewayError):
    """An answer that is not the gateway's, or one of a gateway at fault."""


class InputError(DetectorError):
    """A film or a report cannot be used."""


class CancelledError(DetectorError):
    """The user has cancelled."""

    def __init__(self) -> None:
        super().__init__("cancelled")
