"""`GET /docs`: the description of the API as a page, made from the document of `/openapi.json`. It has no script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from api.contract.error_codes import CODES
from api.documentation.html_page import Endpoint, page_endpoint
from api.documentation.openapi import document

_PAGE = Path(__file__).with_name("docs.html")


def docs_endpoint() -> Endpoint:
    """The endpoint."""
    described = document()
    parts = {"nav": _contents(described), "main": _main(described)}
    return page_endpoint(re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _PAGE.read_text(encoding="utf-8")))


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
        ((code.status, f'<code id="{code.name}">{code.name}</code>', _text(code.occurs)) for code in CODES.values()),
    )
    errors = "<p>All errors have one JSON shape. The message says what to do next. Programs read the code.</p>"
    ways = (f"<li>{_security_scheme(scheme)}</li>" for scheme in described["components"]["securitySchemes"].values())
    return (
        f"{about}<p>Send the key in one of these ways:</p><ul>{''.join(ways)}</ul>{operations}"
        f'<section id="bodies"><h2>Bodies</h2>{bodies}</section>'
        f'<section id="errors"><h2>Errors</h2>{errors}{_example(described["components"]["schemas"]["Error"])}{codes}'
        "</section>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = operation.get("parameters", ())
    parameter_table = _table(("parameter", ""), map(_parameter, parameters)) if parameters else ""
    request_body = operation.get("requestBody")
    body = f"<h3>Body</h3>{_links(request_body['content'])}" if request_body else ""
    responses = _table(("response", ""), (_response(*each) for each in operation["responses"].items()))
    return (
        f'<section id="{operation["operationId"]}"><h2><b>{method}</b> <code>{escape(path)}</code></h2>'
        f"<p>{_text(operation['summary'])} {_key(operation['security'])}{_demo_link(operation)}</p>"
        f"{parameter_table}{body}<h3>Responses</h3>{responses}</section>"
    )


def _demo_link(operation: dict[str, Any]) -> str:
    pages = "text/html" in operation["responses"].get("200", {"content": {"text/html": {}}})["content"]
    return "" if pages else f' <a href="demo#{operation["operationId"]}">Try it</a>'


def _security_scheme(scheme: dict[str, Any]) -> str:
    description = _text(scheme.get("description", ""))
    if scheme["type"] == "http":
        return f"The header <code>Authorization: {scheme['scheme'].title()}</code>. {description}"
    return f"The {scheme['in'].replace('query', 'parameter')} <code>{scheme['name']}</code>. {description}"


def _key(security: list[dict[str, Any]]) -> str:
    schemes = {name for alternative in security for name in alternative}
    if not schemes:
        return "Needs no key."
    return "Needs the key, or a signed address." if "signed" in schemes else "Needs the key."


def _parameter(parameter: dict[str, Any]) -> tuple[str, str]:
    where = [] if parameter["in"] == "query" else [parameter["in"]]
    where += ["required"] if parameter.get("required") else []
    name = f"<code>{escape(parameter['name'])}</code>"
    note = f"<p>{', '.join(where)}</p>" if where else ""
    return name + note, f"{_text(parameter['description'])}<p>Example: {_address_example(parameter)}</p>"


def _address_example(parameter: dict[str, Any]) -> str:
    """The example as it stands in an address."""
    example = parameter["example"]
    if isinstance(example, dict):
        return " ".join(f"<code>{escape(f'{name}={value}')}</code>" for name, value in example.items())
    text = (
        ",".join(example) if isinstance(example, list) else example if isinstance(example, str) else json.dumps(example)
    )
    return f"<code>{escape(text)}</code>"


def _response(status: str, response: dict[str, Any]) -> tuple[str, str]:
    if "$ref" in response:
        code = CODES[response["$ref"].rpartition("/")[2]]
        return status, f'<a href="#{code.name}"><code>{code.name}</code></a>: {_text(code.occurs)}'
    content = response.get("content", {})
    examples: dict[str, Any] = {}
    for each in content.values():
        examples = each.get("examples", {})
    if examples:
        lines = (
            f'<li><a href="#{name}"><code>{name}</code></a>: {_text(each["summary"])}</li>'
            for name, each in examples.items()
        )
        return status, f"<ul>{''.join(lines)}</ul>"
    headers = ", ".join(f"<code>{name}</code>" for name in response.get("headers", ()))
    header_list = f"<p>Headers: {headers}</p>" if headers else ""
    return status, f"{_text(response['description'])}{_links(content)}{header_list}"


def _links(content: dict[str, Any]) -> str:
    lines = []
    for media_type, each in content.items():
        schema = each["schema"]
        events = schema.get("properties", {}).get("data", {}).get("contentSchema", {})
        name = schema.get("$ref", events.get("$ref", "")).rpartition("/")[2]
        lines.append(f"<li><code>{media_type}</code>" + (f': <a href="#{name}">{name}</a></li>' if name else "</li>"))
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


def _body(name: str, schema: dict[str, Any]) -> str:
    """A body; of events, each of them with its description."""
    description = f"<p>{_text(schema.get('description', ''))}</p>"
    if "oneOf" in schema:
        tables = "".join(f"<p>{_text(event['description'])}</p>{_keys(event)}" for event in schema["oneOf"])
    else:
        tables = _keys(schema)
    return f'<article id="{name}"><h3>{name}</h3>{description}{tables}</article>'


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
    types = schema.get("type", "any")
    text = " or ".join(types) if isinstance(types, list) else types
    return f"{text} of {_type(schema['items'])}" if "items" in schema else text


def _example(schema: dict[str, Any]) -> str:
    text = json.dumps(schema["examples"][0], indent=1, ensure_ascii=False)
    return f'<details><summary>Example</summary><pre tabindex="0">{escape(text)}</pre></details>'


def _table(names: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _text(text: str) -> str:
    """A sentence as HTML; text between backticks is code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text, quote=False))
