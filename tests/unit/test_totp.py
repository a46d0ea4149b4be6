"""The code of the second factor."""

from __future__ import annotations

import pytest

from scraper.totp import totp


def test_the_code_is_that_of_the_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last six digits of an example in RFC 6238, appendix B."""
    monkeypatch.setattr("time.time", lambda: 1111111109)
    assert totp("gezd gnbv gy3t qojq GEZD GNBV GY3T QOJQ") == "081804"
