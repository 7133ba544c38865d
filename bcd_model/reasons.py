"""Why something was not done, as fields; and what of it is shown to whom.

A reason is made once, where the trouble is seen, and handed on as it is: into records, results, answers and
summaries. No code reads it back out of a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

_EARLIER = "failed under an earlier version of this software"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a film, a study or a job has no result, or waits.

    Attributes:
        code: what kind of trouble it is: the same for every film and job that has it
            (``docs/reference/reasons.md`` lists the codes).
        detail: one line for every reader. It names no file, no folder and no patient; UIDs it may.
        remedy: what can be done about it; "" if nothing need be said.
        film: what people call the film that it is about ("film 2 (R CC)"); "" if it is about none.
        place: the file or the folder that it is about, "" if none. It may be named after a patient, so it is
            for that user alone.
    """

    code: str
    detail: str
    remedy: str = ""
    film: str = ""
    place: str = ""

    def __str__(self) -> str:
        """For every reader: answers of the gateway, logs, summaries, reports."""
        about = f"{self.film}: {self.detail}" if self.film else self.detail
        return f"{about}; {self.remedy}" if self.remedy else about

    @property
    def with_place(self) -> str:
        """For the user who named the files: the command line."""
        return f"{self.place}: {self}" if self.place else str(self)

    def as_json(self) -> dict[str, str]:
        """The fields that say something, for a record."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}


def reason_of_earlier_version(text: str) -> Reason:
    """What records of an earlier version said in one sentence, which may name files: shown as a place is."""
    return Reason("earlier-version", _EARLIER, place=text)
