"""What all streams of server-sent events have in common.

A comment ends with one newline. An empty line would end an event, and some clients take one without data for an event
(`@microsoft/fetch-event-source` does).
"""

from __future__ import annotations

EVENT_STREAM_TYPE = "text/event-stream; charset=utf-8"
OPENING_COMMENT = b": phpmyadmin-orders\n"  # some proxies pass on a response when its first byte comes
KEEPALIVE = b": alive\n"
