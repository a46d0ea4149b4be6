"""`/docs` describes every operation, parameter and error, and loads nothing."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import httpx2
import pytest
from sidecar_process import Sidecar, sidecar

from api.contract.error_codes import CODES
from api.contract.operations import OPERATIONS
from api.contract.queries.fetch_query import PARAMETERS


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api")) as running:
        yield running


def test_it_tells_every_operation_parameter_and_error(api: Sidecar) -> None:
    answer = httpx2.get(f"{api.url}/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = html.unescape(re.sub(r"<[^>]+>", "", answer.text))
    for operation in (each for each in OPERATIONS if each.bodies):  # not the redirect
        assert f"{operation.method.upper()} {operation.path}" in text
        assert operation.summary in text
    for name in [*(parameter.name for parameter in PARAMETERS), "filters", "since", *CODES]:
        assert f"<code>{name}</code>" in answer.text or f'<code id="{name}">{name}</code>' in answer.text


def test_it_is_one_file_without_a_script_under_a_strict_policy(api: Sidecar) -> None:
    answer = httpx2.get(f"{api.url}/docs")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"(src|href)=\"(?!data:|#|demo[\"#]|openapi.json\")", answer.text)


def test_its_links_lead_somewhere(api: Sidecar) -> None:
    page = httpx2.get(f"{api.url}/docs").text
    ids = re.findall(r'id="(\w+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#(\w+)"', page)) <= set(ids)
