"""The shop's name and logo (SHOP_NAME, SHOP_LOGO): above the navigation, on paper, at the sign-in and in titles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from cache.errors import SettingsInvalid
from cache.settings import Settings

PATH = "/shop-logo"
MAX_BYTES = 512 * 1024
_FORMATS = {  # media type -> the first bytes of such a file
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/webp": b"RIFF",
    "image/svg+xml": b"<",
}


@dataclass(frozen=True)
class Shop:
    """The shop as pages name it.

    Attributes:
        name: Its name; "" for none.
        logo: The file of its logo; empty for none.
        media_type: The format of the logo.
    """

    name: str = ""
    logo: bytes = b""
    media_type: str = ""

    @property
    def title(self) -> str:
        """What stands in titles."""
        return self.name or "Orders"

    @classmethod
    def of(cls, settings: Settings) -> Shop:
        """Reads what the settings name.

        Raises:
            SettingsInvalid: SHOP_LOGO is no image that browsers show.
        """
        logo = _read(settings.shop_logo) if settings.shop_logo else b""
        media_type = next((name for name, first in _FORMATS.items() if logo.startswith(first)), "")
        if settings.shop_logo and (not media_type or (media_type == "image/svg+xml" and b"<svg" not in logo)):
            raise SettingsInvalid(
                f"SHOP_LOGO, {settings.shop_logo}, is none of PNG, JPEG, WebP and SVG.", "Set it to such a file."
            )
        return cls(settings.shop_name or "", logo, media_type)

    def css(self, public_path: str) -> bytes:
        """The name and the address of the logo for style.css. `public_path` is PUBLIC_PATH."""
        values = [f"--shop-name: {_css_string(self.name)};"] if self.name else []
        if self.logo:
            values += [f"--shop-logo: url({_css_string(public_path + PATH)});", "--shop-logo-height: 2.25rem;"]
            values += [] if self.name else ['--shop-name: "";']
        return f":root {{ {' '.join(values)} }}".encode() if values else b""

    async def get_logo(self, _: Request) -> Response:
        """Answers with the logo."""
        return Response(self.logo, media_type=self.media_type, headers={"Cache-Control": "private, max-age=3600"})


UNNAMED = Shop()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsInvalid(
            f"SHOP_LOGO, {path}, cannot be read: {error.strerror}.", "Set it to a file that this user may read."
        ) from None
    if len(content) > MAX_BYTES:
        raise SettingsInvalid(f"SHOP_LOGO, {path}, has more than {MAX_BYTES // 1024} KiB.", "Set it to a smaller file.")
    return content


def _css_string(text: str) -> str:
    """A string of CSS, in which whatever is no letter or digit is escaped."""
    return '"' + "".join(char if char.isalnum() else f"\\{ord(char):x} " for char in text) + '"'
