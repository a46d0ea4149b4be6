"""All settings of a sync. Each part of the scraper declares its own; see cache/settings.py for how they are read."""

from __future__ import annotations

from pydantic import Field

from cache.settings import YEAR
from scraper.login.settings import LoginSettings


class ScraperSettings(LoginSettings):
    """Everything that a sync needs: what readers know, the client, the login, and how tables are compared."""

    statement_seconds: float = Field(
        5,
        gt=0,
        le=3600,
        description="Target duration of one SQL statement, in seconds. Lower it if your host kills long queries.",
    )
    source_timezone: str = Field("UTC", description="IANA time zone of the table's DATETIME columns.")
    full_check_hours: float = Field(
        0,
        ge=0,
        le=YEAR / 60,
        description="Hours between full comparisons. In between, scheduled syncs check only new and recently changed "
        "segments. 0: every sync compares the whole table.",
    )
    hold_back_below: float = Field(
        0.5,
        ge=0,
        le=1,
        description="If the table has fewer rows than this share of its previous row count, the new copy is not "
        "published until someone accepts it.",
    )
    changes_days: float = Field(
        30, ge=0, le=3650, description="Days for which the changes of each sync are kept, for `GET /changes`."
    )
