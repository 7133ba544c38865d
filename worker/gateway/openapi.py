"""What the gateway says of itself: its OpenAPI document, and a page that loads nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse

from worker.gateway.middleware import REPORT_POLICY
from worker.gateway.problems import MEDIA_TYPE

router = APIRouter(include_in_schema=False)

_ERROR = {"$ref": "#/components/schemas/Error"}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
code { font-family: ui-monospace, monospace; } h2 { margin-top: 2rem; font-size: 1.1rem; }
table { border-collapse: collapse; }
td, th { border: 1px solid #999; padding: .2rem .6rem; text-align: left; }
"""


class Api(FastAPI):
    """FastAPI, with errors documented as what they are: problem+json, validation included."""

    def openapi(self) -> dict[str, Any]:
        """The document; made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            for path in document["paths"].values():
                for operation in path.values():
                    for status, response in operation["responses"].items():
                        if int(status) >= 400:
                            response["content"] = {MEDIA_TYPE: {"schema": _ERROR}}
            for name in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(name, None)
            self.openapi_schema = document
        return self.openapi_schema


@router.get("/docs")
def page(request: Request) -> HTMLResponse:
    """The document for people. Needs no token: it is the same for every client."""
    document = request.app.openapi()
    parts = [
        _operation(path, method, what)
        for path, of in document["paths"].items()
        for method, what in of.items()
    ]
    info = document["info"]
    title = f"{info['title']} {info['version']}"
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1><p>{escape(info['description'])}</p>"
        "<p>For programs: <code>openapi.json</code> beside this page. A token goes into the header "
        "<code>Authorization: Bearer TOKEN</code>. Errors are <code>application/problem+json</code>.</p>"
        f"{''.join(parts)}</html>"
    )
    return HTMLResponse(text, headers={"Content-Security-Policy": REPORT_POLICY})


def _operation(path: str, method: str, what: dict[str, Any]) -> str:
    fields = [(p["name"], p["in"], p.get("description", "")) for p in what.get("parameters", ())]
    for media, body in what.get("requestBody", {}).get("content", {}).items():
        of_body = body["schema"].get("properties", {})
        fields += [(name, media, about.get("description", "")) for name, about in of_body.items()]
    rows = "".join(_row("code", *field) for field in fields)
    answers = "".join(_row("b", status, said["description"]) for status, said in what["responses"].items())
    return (
        f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>"
        f"<p>{escape(what.get('description', ''))}</p>"
        + (f"<table><tr><th>field</th><th>in</th><th></th></tr>{rows}</table>" if rows else "")
        + f"<table><tr><th>status</th><th></th></tr>{answers}</table>"
    )


def _row(tag: str, first: str, *rest: str) -> str:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
    return f"<tr><td><{tag}>{escape(first)}</{tag}></td>{cells}</tr>"
