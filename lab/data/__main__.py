"""Fill a sample shop on a MariaDB elsewhere: python -m lab.data HOST.

The environment names the database, its table and its user, as the product's settings do. A shop that has orders stays.
"""

import argparse
import os
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pymysql

from lab.data import load, shop


def main(arguments: list[str] | None = None) -> int:
    """Fill the shop, and print how many orders it has."""
    parser = argparse.ArgumentParser(prog="python -m lab.data", description=__doc__)
    parser.add_argument("host", help="where MariaDB is")
    parser.add_argument("--port", type=int, default=3306)
    parser.add_argument("--rows", type=int, default=10_000, help="how many orders (10000)")
    options = parser.parse_args(arguments)
    database, table = os.environ["PHPMYADMIN_DATABASE"], os.environ.get("PHPMYADMIN_TABLE") or "orders"
    user, password = os.environ["PHPMYADMIN_USERNAME"], os.environ["PHPMYADMIN_PASSWORD"]
    with closing(
        pymysql.connect(
            host=options.host, port=options.port, user=user, password=password, local_infile=True, autocommit=True
        )
    ) as connection:
        rows = _orders(connection, database, table)
        if not rows:
            with tempfile.TemporaryDirectory() as folder:
                rows = load.load(connection, database, table, shop.history(options.rows, 1, None), Path(folder))
    print(f"{rows} orders in {database}.{table}")
    return 0


def _orders(connection: "pymysql.Connection[pymysql.cursors.Cursor]", database: str, table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
            (database, table),
        )
        (known,) = cursor.fetchone() or (0,)
        if not known:
            return 0
        cursor.execute(f"SELECT COUNT(*) FROM `{database}`.`{table}`")
        (rows,) = cursor.fetchone() or (0,)
        return int(rows)


if __name__ == "__main__":
    sys.exit(main())
