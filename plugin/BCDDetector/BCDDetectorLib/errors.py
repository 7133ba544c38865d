"""What can go wrong, each with one line for the user and details for whoever has to mend it.

::

    DetectorError
    ├── GatewayError          between here and the gateway
    │   ├── Unreachable       nothing answers at the address
    │   ├── Refused           401, 403: the token
    │   ├── NotFound          404: another service, or a job that is gone
    │   ├── NotReady          409: the job has no results yet
    │   ├── TooLarge          413: more than the gateway takes
    │   ├── Unusable          400, 415, 422: nothing that can be scanned
    │   ├── Overloaded        429, 503: try again later
    │   └── BadAnswer         anything else: not our gateway, or a fault of it
    ├── InputError            the film or report cannot be used
    └── Cancelled             by the user
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
    """Between here and the gateway."""


class Unreachable(GatewayError):  # noqa: N818  a state of the gateway, named as the panel names it
    """Nothing answers at the address."""


class Refused(GatewayError):  # noqa: N818
    """The token is missing, wrong or not allowed to do this."""


class NotFound(GatewayError):  # noqa: N818
    """There is no such thing at the address."""


class NotReady(GatewayError):  # noqa: N818
    """The job has no results yet."""


class TooLarge(GatewayError):  # noqa: N818
    """More bytes or files than the gateway takes."""


class Unusable(GatewayError):  # noqa: N818
    """Nothing of what was sent can be scanned."""


class Overloaded(GatewayError):  # noqa: N818
    """The gateway asks to wait.

    Attributes:
        retry_after: seconds, None if it does not say.
    """

    def __init__(self, message: str, details: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, details)
        self.retry_after = retry_after


class BadAnswer(GatewayError):  # noqa: N818
    """An answer that is not the gateway's, or one of a gateway at fault."""


class InputError(DetectorError):
    """A film or a report cannot be used."""


class Cancelled(DetectorError):  # noqa: N818
    """The user has cancelled."""

    def __init__(self) -> None:
        super().__init__("cancelled")
