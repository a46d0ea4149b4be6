"""An hour in the life of the shop: new orders, status changes, refunds, a few deletions."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pymysql
from pymysql.cursors import DictCursor

from lab.data.catalogue import STEP
from lab.data.orders import batch, customer_number
from lab.data.shop import FIRST_ID, FIRST_NUMBER
from lab.data.table import COLUMNS, Row, refund, stamp

Order = dict[str, Any]


def mutate(
    connection: "pymysql.Connection[Any]", table: str, chance: random.Random, touches: int, now: datetime | None = None
) -> dict[str, int]:
    """Change the table in one transaction; see `Lab.mutate`."""
    second = int((now or datetime.now(UTC)).timestamp())
    inserted = round(touches * 0.4)
    deleted = min(max(touches // 20, 1), (touches - inserted) // 2)
    with connection.cursor(DictCursor) as cursor:
        connection.begin()
        chosen = _chosen(cursor, table, chance, touches - inserted)
        chance.shuffle(chosen)
        gone, changed = chosen[:deleted], chosen[deleted:]
        new = _new_orders(cursor, table, chance, inserted, second)
        for order in gone:
            cursor.execute(f"DELETE FROM `{table}` WHERE id = %s", (order["id"],))
        for order in changed:
            values = {**_next_step(order, chance, second), "updated_at": stamp(second)}
            assignments = ", ".join(f"`{name}` = %s" for name in values)
            cursor.execute(f"UPDATE `{table}` SET {assignments} WHERE id = %s", (*values.values(), order["id"]))
        if new:
            cursor.executemany(f"INSERT INTO `{table}` VALUES ({', '.join(['%s'] * len(COLUMNS))})", new)
        connection.commit()
    return {"inserted": len(new), "updated": len(changed), "deleted": len(gone)}


def _chosen(cursor: DictCursor, table: str, chance: random.Random, count: int) -> list[Order]:
    """Distinct orders that something happens to: every fifth from anywhere in the table, the others recent."""
    cursor.execute(f"SELECT id FROM `{table}` ORDER BY id DESC LIMIT %s", (20 * count,))
    recent = [row["id"] for row in cursor.fetchall()]
    cursor.execute(f"SELECT MIN(id) AS low, MAX(id) AS high FROM `{table}`")
    ends = cursor.fetchone()
    ids = set()
    for _ in range(count // 5):
        at = chance.randint(ends["low"], ends["high"])
        cursor.execute(f"SELECT id FROM `{table}` WHERE id >= %s ORDER BY id LIMIT 1", (at,))
        ids.add(cursor.fetchone()["id"])
    rest = [each for each in recent if each not in ids]
    ids.update(chance.sample(rest, min(count - len(ids), len(rest))))
    if not ids:
        return []
    cursor.execute(f"SELECT * FROM `{table}` WHERE id IN %s ORDER BY id", (sorted(ids),))
    return list(cursor.fetchall())


def _next_step(order: Order, chance: random.Random, now: int) -> dict[str, object]:
    """What happens next to an order."""
    moment = stamp(now)
    left = order["total_price"] - order["total_refunded"]
    if order["cancelled_at"] is None and order["fulfillment_status"] is None:
        if chance.random() < 0.05 and not order["total_refunded"]:
            status = {"cancelled_at": moment, "fulfillment_status": "restocked"}
            if order["financial_status"] == "paid" and left:
                return {**status, **_refund(order, left, "cancelled", now)}
            return {**status, "financial_status": "voided"}
        if order["financial_status"] in ("pending", "authorized"):
            return {"financial_status": "paid"}
        return {"fulfillment_status": "fulfilled", "fulfilled_at": moment}
    if order["financial_status"] in ("paid", "partially_refunded") and left and chance.random() < 0.5:
        step = Decimal(STEP[order["currency"]]) / 100
        amount = left if chance.random() < 0.4 else max(left * chance.randint(10, 90) // 100 // step, 1) * step
        return _refund(order, min(amount, left), "changed their mind", now)
    return {"note": f"Called the customer, {moment}, ticket {chance.randrange(10**9)}"}


def _refund(order: Order, amount: Decimal, reason: str, now: int) -> dict[str, object]:
    refunds = json.loads(order["refunds"])
    last = refunds[-1]["id"] if refunds else 8 * order["id"]
    refunds.append(refund(last + 1, now, int(amount * 100), reason))
    total = order["total_refunded"] + amount
    return {
        "refunds": json.dumps(refunds, ensure_ascii=False),
        "total_refunded": total,
        "financial_status": "refunded" if total == order["total_price"] else "partially_refunded",
    }


def _new_orders(cursor: DictCursor, table: str, chance: random.Random, count: int, now: int) -> Sequence[Row]:
    cursor.execute(f"SELECT MAX(id) AS id, MAX(customer_id) AS customer FROM `{table}`")
    newest = cursor.fetchone()
    cursor.execute(f"SELECT name FROM `{table}` WHERE id = %s", (newest["id"],))
    last = cursor.fetchone()
    number = int(last["name"].removeprefix("#")) + 1 if last else FIRST_NUMBER
    known = customer_number(newest["customer"]) + 1 if newest["customer"] else 0
    buyers = [chance.randrange(known) if known and chance.random() < 0.5 else known + k for k in range(count)]
    gaps = np.cumsum([chance.randint(1, 60_000) for _ in range(count)], dtype=np.int64)
    return batch(
        np.random.default_rng(chance.getrandbits(64)),
        (newest["id"] or FIRST_ID) + gaps,
        range(number, number + count),
        np.array(sorted(now - chance.randrange(3600) for _ in range(count)), dtype=np.int64),
        np.array(buyers, dtype=np.int64),
        now,
    )
