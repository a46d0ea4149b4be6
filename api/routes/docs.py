"""`GET /docs`: the description of the API as a page, made from the document that `/openapi.json` gives.

It is text and nothing else: no script, nothing from elsewhere, so that it reads everywhere and prints well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.contract.error_codes import CODES
from api.routes.demo import Endpoint, policy
from api.routes.openapi import document

_PAGE = Path(__file__).with_name("docs.html")


def docs_page() -> Endpoint:
    """The endpoint."""
    described = document()
    parts = {"nav": _contents(described), "main": _main(described)}
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _PAGE.read_text(encoding="utf-8"))
    headers = {"Content-Security-Policy": policy(page), "Cache-Control": "no-cache"}

    async def docs(_: Request) -> Response:
        return HTMLResponse(page, headers=headers)

    return docs


def _operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method.upper(), operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]


def _contents(described: dict[str, Any]) -> str:
    links = (
        f'<li><a href="#{operation["operationId"]}"><b>{method}</b> <code>{escape(path)}</code></a></li>'
        for path, method, operation in _operations(described)
    )
    return f'<ul>{"".join(links)}<li><a href="#bodies">Bodies</a></li><li><a href="#errors">Errors</a></li></ul>'


def _main(described: dict[str, Any]) -> str:
    about = "".join(f"<p>{_text(part)}</p>" for part in described["info"]["description"].split("\n\n"))
    operations = "".join(_operation(*each) for each in _operations(described))
    bodies = "".join(_body(name, schema) for name, schema in described["components"]["schemas"].items())
    codes = _table(
        ("HTTP", "code", "when"),
        ((code.status, f'<code id="{code.name}">{code.name}</code>', _text(code.means)) for code in CODES.values()),
    )
    errors = "<p>Every error is JSON of one shape. Its message says what to do next; programs read the code.</p>"
    ways = (f"<li>{_way(scheme)}</li>" for scheme in described["components"]["securitySchemes"].values())
    return (
        f"{about}<p>The key is sent in one of these ways:</p><ul>{''.join(ways)}</ul>{operations}"
        f'<section id="bodies"><h2>Bodies</h2>{bodies}</section>'
        f'<section id="errors"><h2>Errors</h2>{errors}{_example(described["components"]["schemas"]["Error"])}{codes}'
        "</section>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = operation.get("parameters", ())
    asked = _table(("parameter", ""), map(_parameter, parameters)) if parameters else ""
    wish = operation.get("requestBody")
    body = f"<h3>Body</h3>{_links(wish['content'])}" if wish else ""
    answers = _table(("answer", ""), (_answer(*each) for each in operation["responses"].items()))
    return (
        f'<section id="{operation["operationId"]}"><h2><b>{method}</b> <code>{escape(path)}</code></h2>'
        f"<p>{_text(operation['summary'])} {_key(operation['security'])}{_trial(operation)}</p>"
        f"{asked}{body}<h3>Answers</h3>{answers}</section>"
    )


def _trial(operation: dict[str, Any]) -> str:
    pages = "text/html" in operation["responses"].get("200", {"content": {"text/html": {}}})["content"]
    return "" if pages else f' <a href="demo#{operation["operationId"]}">Try it</a>'


def _way(scheme: dict[str, Any]) -> str:
    says = _text(scheme.get("description", ""))
    if scheme["type"] == "http":
        return f"the header <code>Authorization: Bearer</code>. {says}"
    return f"the {scheme['in'].replace('query', 'parameter')} <code>{scheme['name']}</code>. {says}"


def _key(security: list[dict[str, Any]]) -> str:
    ways = {name for way in security for name in way}
    if not ways:
        return "Needs no key."
    return "Needs the key, or a signed address." if "signed" in ways else "Needs the key."


def _parameter(parameter: dict[str, Any]) -> tuple[str, str]:
    where = [] if parameter["in"] == "query" else [parameter["in"]]
    where += ["required"] if parameter.get("required") else []
    name = f"<code>{escape(parameter['name'])}</code>"
    said = f"<p>{', '.join(where)}</p>" if where else ""
    return name + said, f"{_text(parameter['description'])}<p>Example: {_given(parameter)}</p>"


def _given(parameter: dict[str, Any]) -> str:
    """The example, as it stands in an address."""
    example = parameter["example"]
    if isinstance(example, dict):
        return " ".join(f"<code>{escape(f'{name}={value}')}</code>" for name, value in example.items())
    text = (
        ",".join(example) if isinstance(example, list) else example if isinstance(example, str) else json.dumps(example)
    )
    return f"<code>{escape(text)}</code>"


def _answer(status: str, answer: dict[str, Any]) -> tuple[str, str]:
    if "$ref" in answer:
        code = CODES[answer["$ref"].rpartition("/")[2]]
        return status, f'<a href="#{code.name}"><code>{code.name}</code></a>: {_text(code.means)}'
    content = answer.get("content", {})
    examples: dict[str, Any] = {}
    for each in content.values():
        examples = each.get("examples", {})
    if examples:
        lines = (
            f'<li><a href="#{name}"><code>{name}</code></a>: {_text(each["summary"])}</li>'
            for name, each in examples.items()
        )
        return status, f"<ul>{''.join(lines)}</ul>"
    headers = ", ".join(f"<code>{name}</code>" for name in answer.get("headers", ()))
    said = f"<p>Headers: {headers}</p>" if headers else ""
    return status, f"{_text(answer['description'])}{_links(content)}{said}"


def _links(content: dict[str, Any]) -> str:
    lines = []
    for media_type, each in content.items():
        schema = each["schema"]
        events = schema.get("properties", {}).get("data", {}).get("contentSchema", {})
        name = schema.get("$ref", events.get("$ref", "")).rpartition("/")[2]
        lines.append(f"<li><code>{media_type}</code>" + (f': <a href="#{name}">{name}</a></li>' if name else "</li>"))
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


def _body(name: str, schema: dict[str, Any]) -> str:
    several = schema.get("oneOf", [schema])
    tables = "".join(_keys(each) for each in several)
    return f'<article id="{name}"><h3>{name}</h3><p>{_text(schema.get("description", ""))}</p>{tables}</article>'


def _keys(schema: dict[str, Any]) -> str:
    properties = schema.get("properties")
    rows = (
        (f"<code>{escape(key)}</code>", _type(each), _text(each.get("description", "")))
        for key, each in (properties or {}).items()
    )
    return (_table(("key", "type", ""), rows) if properties else "") + _example(schema)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return ", ".join(f"<code>{escape(json.dumps(each))}</code>" for each in schema["enum"])
    kind = schema.get("type", "any")
    named = " or ".join(kind) if isinstance(kind, list) else kind
    return f"{named} of {_type(schema['items'])}" if "items" in schema else named


def _example(schema: dict[str, Any]) -> str:
    text = json.dumps(schema["examples"][0], indent=1, ensure_ascii=False)
    return f'<details><summary>Example</summary><pre tabindex="0">{escape(text)}</pre></details>'


def _table(names: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _text(text: str) -> str:
    """A sentence, with what stands between backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text, quote=False))
