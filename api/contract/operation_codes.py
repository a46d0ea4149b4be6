"""The error codes that each operation may answer with, beside those of every operation (COMMON_CODES)."""

from __future__ import annotations

COMMON_CODES = ("bad_request", "client_gone", "too_slow", "body_too_large", "head_too_large", "internal_error")
KEY_CODES = ("unauthorized", "rate_limited")
SIGNATURE_CODES = ("signature_invalid", "signature_expired")
UNWRITABLE_CODES = ("disk_full", "cache_full", "cache_read_only", "cache_unreachable", "cache_unwritable")
FETCH_CODES = (
    *("parameter_invalid", "bad_filter", "query_refused", "too_many_rows", "forbidden", "column_masked"),
    *(
        "unknown_generation",
        "no_snapshot",
        "warming_up",
        "no_worker",
        "range_damaged",
        "cache_format",
        *UNWRITABLE_CODES,
        "query_timeout",
    ),
    *("scan_failed", "scan_busy", "shutting_down", "timeout"),
)
CHANGES_CODES = (
    *(
        "parameter_invalid",
        "forbidden",
        "column_masked",
        "no_key",
        "changes_gone",
        "no_snapshot",
        "warming_up",
        "cache_unreachable",
        "range_damaged",
        "snapshot_damaged",
        "cache_format",
    ),
)
FIGURE_CODES = (
    *("parameter_invalid", "forbidden", "no_snapshot", "warming_up", "range_damaged", "cache_format", "query_timeout"),
    *("scan_failed", "scan_busy"),
)
COMPUTED_CODES = (
    *(*FIGURE_CODES, "query_refused", "too_many_rows", "column_masked", "bad_filter", "unknown_generation"),
    "settings_invalid",
)
FEED_CODES = (
    "unknown_feed",
    "rate_limited",
    *(
        code
        for code in dict.fromkeys((*FETCH_CODES, *COMPUTED_CODES))
        if code not in (*UNWRITABLE_CODES, "forbidden", "no_worker", "shutting_down", "timeout")
    ),
)
SIGN_CODES = (  # of the addresses too
    *("parameter_invalid", "bad_filter", "query_refused", "too_many_rows", "forbidden", "column_masked"),
    *("no_key", "unknown_generation", "changes_gone"),
)
