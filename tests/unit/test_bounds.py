"""What a server sends is bounded, and no answer takes more time than its bytes."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx2
import pyarrow as pa
import pytest
from paths import ROOT
from web_server import Handler, serving

from cache.storage.store import Cache
from scraper.client import bounds, csv_parser
from scraper.client.bounds import DESCRIPTION, PAGE, PAGE_TAGS, Bound, disk_bound, row_bound
from scraper.client.csv_parser import CsvParser, header_line, parse_csv
from scraper.client.gunzip import PIECE, GunzipSink
from scraper.client.response import RowsBody, integer, plain_text
from scraper.client.session import Session
from scraper.errors import AnswerInvalid, AnswerTooLarge, NotPhpMyAdmin
from scraper.login.bounded_pages import find_first, join_url, parse_page, shown_text
from scraper.login.http_page_driver import HttpPageDriver
from scraper.login.redirects import refresh
from scraper.settings import ScraperSettings
from scraper.sync.sync import sync
from scraper.table.describe import type_parts

HEADER = ["c0", "c1"]
KILOBYTE = Bound(1024)
BOMB = gzip.compress(bytes(64 << 20))  # 64 KB


def parser(rows: int = 10, bound: Bound = KILOBYTE) -> CsvParser:
    return CsvParser(HEADER, "NULL", pa.string(), rows, bound)


# -- rows and cells


def test_more_rows_than_requested_are_refused_while_they_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_parser, "BLOCK", 20)
    rows = parser(rows=10)
    rows.feed(header_line(HEADER))
    rows.feed(b'"a","b"\n' * 10)
    with pytest.raises(AnswerInvalid, match=r"more rows than were requested \(10\)"):
        rows.feed(b'"a","b"\n' * 10)


def test_one_row_too_many_is_refused() -> None:
    rows = parser(rows=1)
    rows.feed(header_line(HEADER) + b'"a","b"\n"c","d"\n')
    with pytest.raises(AnswerInvalid, match="more rows"):
        rows.table()


@pytest.mark.parametrize("cell", [b"x", b"\n", b'"",""', b'""'])
def test_a_row_that_does_not_end_is_refused_at_its_bound(monkeypatch: pytest.MonkeyPatch, cell: bytes) -> None:
    monkeypatch.setattr(csv_parser, "BLOCK", 100)
    endless = b'"' + cell * 2_000
    rows = parser()
    with pytest.raises(AnswerTooLarge, match="A row has more than"):
        rows.feed(header_line(HEADER) + endless)
    with pytest.raises(AnswerTooLarge, match="A row has more than"):
        list(parse_csv(io.BytesIO(endless), 2, "NULL", pa.string(), KILOBYTE))


def test_each_byte_of_a_long_cell_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0
    end_of_rows = csv_parser._end_of_rows

    def counted(data: bytes, in_quotes: bool) -> tuple[int, bool]:
        nonlocal looked_at
        looked_at += len(data)
        return end_of_rows(data, in_quotes)

    monkeypatch.setattr(csv_parser, "_end_of_rows", counted)
    cell = b'"' + b"x\n" * (4 << 20) + b'",""\n'
    (_, table) = parse_csv(io.BytesIO(cell), 2, "NULL", pa.string(), Bound(16 << 20))
    assert len(table) == 1
    assert looked_at == len(cell)


@pytest.mark.parametrize("text", [None, "", "abc", "1.5", "9" * 10_000, "\x1b[31m"])
def test_a_text_in_place_of_a_number_is_refused(text: str | None) -> None:
    with pytest.raises(AnswerInvalid, match="in place of a number"):
        integer(text)


# -- bytes


def test_gzip_is_decompressed_in_pieces() -> None:
    pieces: list[int] = []
    sink = GunzipSink(lambda piece: pieces.append(len(piece)))
    sink(BOMB)
    sink.end()
    assert sum(pieces) == 64 << 20
    assert max(pieces) <= PIECE


def test_a_compressed_answer_is_bounded_after_decompression() -> None:
    pieces: list[bytes] = []
    sink = GunzipSink(DESCRIPTION.counting(pieces.append))
    with pytest.raises(AnswerTooLarge, match=r"more than 4\.0 MB"):
        sink(BOMB)
    assert sum(map(len, pieces)) <= DESCRIPTION.limit


def test_a_row_may_have_one_64th_of_the_memory_of_a_sync() -> None:
    assert row_bound(2048).limit == 32 << 20
    with pytest.raises(AnswerTooLarge) as caught:
        row_bound(2048).check((32 << 20) + 1, "A row")
    assert str(caught.value) == (
        "A row has more than 32.0 MB. A row may have one 64th of SYNC_MEMORY_MB. "
        "Raise that setting if a row of the table is so long."
    )


def test_rows_on_disk_may_take_half_of_the_free_space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(bounds.shutil, "disk_usage", lambda folder: shutil_usage(free=10 << 20))
    with pytest.raises(AnswerTooLarge, match=r"more than 5\.0 MB") as caught:
        disk_bound().check((5 << 20) + 1)
    assert str(tmp_path) in caught.value.advice


def shutil_usage(free: int) -> object:
    return type("Usage", (), {"free": free})()


def test_the_excerpts_of_an_answer_in_tiny_pieces_are_its_ends() -> None:
    body = RowsBody(parser(bound=Bound(1 << 30)))
    data = bytes(range(256)) * 1_200
    for i in range(0, len(data), 7):
        body.write(data[i : i + 7])
    assert body.excerpt() == (data[:65_536], data[-65_536:], len(data))


# -- pages


@pytest.fixture(scope="module")
def pages() -> Iterator[HttpPageDriver]:
    """Shows pages of a server; the path says which page it sends."""

    class Hostile(Handler):
        def do_GET(self) -> None:
            encoding, _, kind = self.path.strip("/").partition("/")
            body = {
                "bomb": BOMB,
                "bombs": gzip.compress(BOMB * 20),
                "deflate": zlib.compress(bytes(1 << 20)),
                "small": gzip.compress(b"<title>hello</title>"),
            }.get(kind, b"x")
            self.send_response(302 if kind == "redirect" else 200)
            if encoding != "plain":
                self.send_header("Content-Encoding", encoding)
            if kind in ("endless", "redirect"):
                self.send_header("Location", "/plain/x")
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(b"x" * 65_536)
                except OSError:
                    return
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Hostile) as url:
        settings = ScraperSettings.load(phpmyadmin_url=url, phpmyadmin_database="shop")
        with HttpPageDriver(settings) as driver:
            yield driver


@pytest.mark.parametrize("page", ["plain/endless", "plain/redirect", "gzip/bomb"])
def test_a_page_is_bounded_also_compressed_or_before_a_redirect(pages: HttpPageDriver, page: str) -> None:
    with pytest.raises(AnswerTooLarge, match=rf"A page has more than {PAGE.limit >> 20}\.0 MB"):
        pages.open(f"{pages._settings.phpmyadmin_url}{page}")


@pytest.mark.parametrize("page", ["deflate/deflate", "br/x", "gzip,gzip/bombs", "zstd/x"])
def test_a_page_in_an_encoding_that_was_not_requested_is_refused(pages: HttpPageDriver, page: str) -> None:
    with pytest.raises(NotPhpMyAdmin, match="an encoding that was not requested"):
        pages.open(f"{pages._settings.phpmyadmin_url}{page}")


def test_a_compressed_page_is_shown(pages: HttpPageDriver) -> None:
    pages.open(f"{pages._settings.phpmyadmin_url}gzip/small")
    assert pages.html == "<title>hello</title>"


@pytest.mark.parametrize(
    ("html", "bound"),
    [
        ("<br>" * (2 * PAGE_TAGS + 1), "20,000 tags"),
        ("<b>" * 2_001, "2,000 tags inside each other"),
        ("<br a b c d e f g>" * 10_000, "60,000 attributes"),
    ],
)
def test_a_page_with_too_many_tags_or_attributes_is_refused(html: str, bound: str) -> None:
    with pytest.raises(AnswerTooLarge, match=bound):
        parse_page(html)


def test_a_tag_with_a_large_image_does_not_hide_the_login_form() -> None:
    page = parse_page(f'<img src="data:image/png;base64,{"A" * 100_000}"><input id="input_username">')
    assert find_first(page, "#input_username") is not None


@pytest.mark.parametrize("html", ["<a " * 30_000, "<!--" * 30_000, "<a b='" * 30_000, "<![CDATA[" * 30_000])
def test_tags_without_an_end_take_no_time(html: str) -> None:
    assert shown_text(parse_page(html)) == ""


def test_a_refresh_after_a_number_of_thousands_of_digits_is_none() -> None:
    assert refresh(parse_page(f'<meta http-equiv="refresh" content="{"0" * 10_000};url=/x">')) == ""


@pytest.mark.parametrize("target", ["http://[", "http://[::1", "http://x:99999/", "http://a\x00b/", "//x:y/"])
def test_an_address_that_is_not_valid_is_refused(target: str) -> None:
    with pytest.raises(NotPhpMyAdmin, match="leads to an address that is not valid"):
        join_url("http://shop.test/?token=secret", target)
    assert httpx2.URL(join_url("http://shop.test/a/", "b")) == "http://shop.test/a/b"


# -- texts


@pytest.mark.parametrize("piece", ["<", "<code>#1", "<b", "&", "<<>"])
def test_messages_are_taken_out_of_any_html_at_once(piece: str) -> None:
    assert len(plain_text(piece * 1_000_000)) <= 300


@pytest.mark.parametrize("kind", ["enum('" + "''" * 60, "enum(" + "'a''" * 60, "enum('" + "\\'" * 50_000])
def test_the_type_of_a_column_is_read_at_once(kind: str) -> None:
    assert type_parts(kind, "YES")[0] == "enum"
    with pytest.raises(AnswerInvalid, match="names no type"):
        type_parts("(" + kind, "YES")


# -- memory


@pytest.mark.parametrize("error", [MemoryError(), duckdb.OutOfMemoryException("full")])
def test_a_sync_that_needs_too_much_memory_says_so(cache: Cache, error: Exception) -> None:
    def log_in(settings: ScraperSettings) -> Session:
        raise error

    settings = ScraperSettings.load(phpmyadmin_url="http://shop.test/", phpmyadmin_database="shop")
    run = sync(cache, settings, log_in)
    assert run.error is not None
    assert run.error.code == "sync_memory_exceeded"
    assert "SYNC_MEMORY_MB" in run.error.message


def test_the_memory_of_a_sync_is_limited_and_that_of_chrome_is_not() -> None:
    program = """if True:
        import subprocess, sys
        from scraper.memory_limit import limit_memory, remove_memory_limit
        limit_memory(200)
        try:
            bytes(300 << 20)
        except MemoryError:
            print("limited", flush=True)
        command = [sys.executable, "-c", "print(len(bytes(300 << 20)) >> 20)"]
        subprocess.run(command, preexec_fn=remove_memory_limit, check=True)
    """
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert output.stdout.split() == ["limited", "300"]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no such limit")
def test_a_sync_runs_under_the_limit_of_its_setting(here: Path) -> None:
    program = """if True:
        import resource
        from scraper.__main__ import main
        main(["sync"])
        print(resource.getrlimit(resource.RLIMIT_DATA)[0] >> 20)
    """
    settings = {
        "PHPMYADMIN_URL": "http://127.0.0.1:9/",
        "PHPMYADMIN_USERNAME": "shop",
        "PHPMYADMIN_PASSWORD": "secret",
        "PHPMYADMIN_DATABASE": "shop",
        "PHPMYADMIN_LOGIN": "http",
        "SYNC_MEMORY_MB": "1500",
    }
    environment = {**os.environ, **settings, "PYTHONPATH": str(ROOT)}
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=here, env=environment
    )
    assert output.stdout.split() == ["1500"], output.stderr


def test_a_selector_that_cannot_be_read_is_named() -> None:
    with pytest.raises(NotPhpMyAdmin, match=r"a\[ is no CSS selector"):
        find_first(parse_page("<a href=x>"), "a[")
