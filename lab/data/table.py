"""The orders table: its columns, how values are written, and the texts that are hard to carry."""

import time

Row = tuple[str | int | None, ...]
"""The values of one order, in the order of COLUMNS."""

COLUMNS = {
    "id": "BIGINT UNSIGNED NOT NULL",
    "name": "VARCHAR(32) NOT NULL",
    "email": "VARCHAR(255) NULL",
    "created_at": "DATETIME NOT NULL",
    "updated_at": "DATETIME NOT NULL",
    "processed_at": "DATETIME NULL",
    "cancelled_at": "DATETIME NULL",
    "financial_status": "VARCHAR(32) NOT NULL",
    "fulfillment_status": "VARCHAR(32) NULL",
    "fulfilled_at": "DATETIME NULL",
    "currency": "CHAR(3) NOT NULL",
    "taxes_included": "TINYINT(1) NOT NULL",
    "subtotal_price": "DECIMAL(12,2) NOT NULL",
    "total_discounts": "DECIMAL(12,2) NOT NULL",
    "total_shipping": "DECIMAL(12,2) NOT NULL",
    "total_tax": "DECIMAL(12,2) NOT NULL",
    "total_price": "DECIMAL(12,2) NOT NULL",
    "total_refunded": "DECIMAL(12,2) NOT NULL",
    "refunds": "TEXT NOT NULL",
    "discount_code": "VARCHAR(64) NULL",
    "source_name": "VARCHAR(64) NOT NULL",
    "customer_id": "BIGINT UNSIGNED NULL",
    "customer_name": "VARCHAR(255) NULL",
    "tags": "VARCHAR(255) NOT NULL",
    "note": "TEXT NULL",
    "line_items": "LONGTEXT NOT NULL",
    "destination": "TEXT NULL",
    "test": "TINYINT(1) NOT NULL",
}
ZERO_DATE = "0000-00-00 00:00:00"

# Every thirteenth order has one of these as its note, in turn: a thousand orders hold them all.
NOTES = (
    "Please leave it with the neighbour",
    "Happy birthday! 🎂🎉👩‍👩‍👧‍👦 🇺🇳",
    'She said "thank you", then left',
    "one, two; three\tfour",
    "first line\r\nsecond line\r\n\r\nlast line",
    "only a line feed\nhere",
    '=HYPERLINK("http://example.com","click")',
    "=1+1",
    "+49 30 1234567",
    "@here -5 %s {0} ${x}",
    "NULL",
    "null",
    "\\N",
    "\\",
    "back\\slash, \\n and \\t as text",
    "",
    " ",
    " spaces before and after ",
    "'; DROP TABLE orders; -- ",
    "<b>bold</b> & <script>alert(1)</script>",
    "O'Brien's, it's ''quoted''",
    '"',
    '""',
    ",",
    "שלום עולם, תודה",
    "مرحبا بالعالم — شكرًا",
    "\u202eright-to-left override\u202c",
    "你好，世界",
    "こんにちは、ｶﾀｶﾅ",
    "안녕하세요",
    "Привіт, світе",
    "Γειά σου Κόσμε",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "Zażółć gęślą jaźń, ß ẞ ı İ",
    "e\u0301 is not é",
    "𝒻𝒶𝓃𝒸𝓎 𠮷 𐍈",
    "zero\u200bwidth\ufeffmarks\u00a0and\u2028separators",
    "%00 %0D%0A &amp; &#0;",
    "0x4E554C4C",
    "0000-00-00",
    "1e309",
    "[]",
    '{"json": "in a note"}',
    "long " * 400,
)


def stamp(seconds: int) -> str:
    """Seconds since the epoch as a DATETIME, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def money(hundredths: int) -> str:
    """Hundredths as a DECIMAL."""
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def refund(identifier: int, at: int, amount: int, reason: str | None) -> dict[str, object]:
    """A refund as the JSON column holds it; `at` in seconds since the epoch, `amount` in hundredths."""
    why = {"reason": reason} if reason else {}
    return {"id": identifier, "created_at": stamp(at).replace(" ", "T") + "Z", "amount": money(amount), **why}
