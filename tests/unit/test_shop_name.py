"""The shop's name and logo: in the settings, in the page and in titles."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from cache_factory import publish
from dashboard_process import dashboard

from cache.errors import SettingsInvalid
from cache.settings import Settings
from dashboard.shop import MAX_BYTES, PATH, Shop

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20


@pytest.fixture
def logo(tmp_path: Path) -> Path:
    return tmp_path / "logo"


def shop(logo: Path) -> Shop:
    return Shop.of(Settings.load(shop_logo=str(logo)))


def test_a_name_cannot_leave_its_style_sheet() -> None:
    css = Shop('Émile\'s "Hüte" </style>').css("").decode()
    assert css == ':root { --shop-name: "Émile\\27 s\\20 \\22 Hüte\\22 \\20 \\3c \\2f style\\3e "; }'
    assert Shop().css("") == b""


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(PNG, "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b'<?xml version="1.0"?><svg/>', "image/svg+xml")],
)
def test_a_logo_is_known_by_its_first_bytes(logo: Path, content: bytes, media_type: str) -> None:
    logo.write_bytes(content)
    assert shop(logo).media_type == media_type
    assert '--shop-logo: url("\\2f orders\\2f shop\\2d logo")' in shop(logo).css("/orders").decode()


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<html></html>", PNG + b"0" * MAX_BYTES])
def test_what_is_no_logo_is_refused(logo: Path, content: bytes) -> None:
    logo.write_bytes(content)
    with pytest.raises(SettingsInvalid, match="SHOP_LOGO"):
        shop(logo)


def test_a_missing_logo_is_refused(logo: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        shop(logo)


@pytest.mark.slow
def test_the_page_and_the_sign_in_name_the_shop(tmp_path: Path, logo: Path) -> None:
    logo.write_bytes(PNG)
    settings = {"SHOP_NAME": "Hats & Co", "SHOP_LOGO": str(logo)}
    with dashboard(tmp_path, **settings) as open_to_all:
        publish(open_to_all.cache, 1)
        page = httpx2.get(f"{open_to_all.url}/")
        image = httpx2.get(open_to_all.url + PATH)
    assert "<title>Hats &amp; Co</title>" in page.text
    assert '--shop-name: "Hats\\20 \\26 \\20 Co"' in page.text
    assert (image.headers["Content-Type"], image.content) == ("image/png", PNG)
    with dashboard(tmp_path, **settings, DASHBOARD_PASSWORD="correct horse battery") as closed:
        form = httpx2.get(f"{closed.url}/", headers={"Accept": "text/html"})
        hidden = httpx2.get(closed.url + PATH)
    assert "<h1>Hats &amp; Co</h1>" in form.text
    assert hidden.status_code == 401
