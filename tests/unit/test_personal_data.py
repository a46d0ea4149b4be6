"""What is personal: by names however they are written, by roles, and inside JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cache_factory import COLUMNS
from long_cases import soak_but
from schema_corpus import corpus
from schema_orders import columns_of, schema_orders

from cache.access.masking import MASK, Mask, MaskRules, pruned_text
from cache.access.personal_json import without_personal_data
from cache.access.personal_names import is_personal
from cache.analytics.order_lookup import ROW_KEY
from cache.analytics.rankings import customers
from cache.roles import DESCRIPTIVE_ROLES
from cache.schema import Column, Kind
from cache.table_setup import NO_SETUP, Setup

SCHEMAS = {schema.name: schema for schema in corpus()}
ADDRESS = {"first_name": "Ida", "address1": "Main St 1", "city": "Köln", "country_code": "DE"}


def columns(*names: str, kind: Kind = "text", type: str = "text") -> list[Column]:
    return [Column(name=name, type=type, kind=kind, nullable=True) for name in names]


def mask(listed: list[Column], setup: Setup = NO_SETUP, **rules: Any) -> Mask:
    return MaskRules(**rules).mask(listed, setup)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Billing Name",
            "billing_name",
            "billingName",
            "BILLING-NAME",
            "billingname",
            "Shipping Name",
            "customerName",
        ),
        *(
            "Shipping Street",
            "shipping_address1",
            "Billing Address2",
            "Shipping Zip",
            "Shipping City",
            "Billing Company",
        ),
        *("Notes", "note", "Note Attributes", "noteAttributes", "note_attributes", "customer_note", "customAttributes"),
        *("firstName", "first_name", "Last Name", "lastname", "full_name", "name_first", "customer_full_name"),
        *("browserIp", "browser_ip", "ip", "client_ip", "ipAddress", "userAgent", "clientDetails", "client_details"),
        *("email", "Contact_Email", "emailAddress", "contactEmail", "Phone", "billing_phone", "telephone", "phone_1"),
        *(
            "order_json",
            "orderJson",
            "raw_json",
            "payload",
            "order_status_url",
            "cart_token",
            "customer",
            "Customer Info",
        ),
        *("destination", "deliveryAddress", "zip", "postal_code", "Prénom_firstname", "credit_card_number", "receipt"),
    ],
)
def test_a_name_of_personal_data_is_known_however_it_is_written(name: str) -> None:
    assert is_personal(name)


@pytest.mark.parametrize(
    "name",
    [
        *("id", "Id", "name", "Name", "order_name", "source_name", "shop_name", "Lineitem name", "product_name"),
        *("Shipping", "shipping", "shipping_lines", "Shipping Method", "Shipping Country", "tip", "total_tip_received"),
        *("customer_id", "Tax 1 Name", "description", "gift_card", "Vendor", "currency", "order_number", "app_id"),
        *("Payment Method", "Financial Status", "total_price", "cancelled_at", "Discount Code", "sku", "variant_title"),
    ],
)
def test_a_name_of_something_else_is_not(name: str) -> None:
    assert not is_personal(name)


def test_columns_show_masks_by_name_and_json_by_what_it_is() -> None:
    assert mask(list(COLUMNS)) == Mask(("email", "customer_name", "note", "destination"), ("line_items",))
    nested = columns("line_items", "refunds", "total_price_set", "discount_codes", "customer", "blob", kind="json")
    assert mask(nested) == Mask(("customer", "blob"), ("line_items", "refunds", "total_price_set", "discount_codes"))
    assert mask(columns("Line Items", "extras", type="json")) == Mask(("extras",), ("Line Items",))
    assert mask(columns("image", kind="bytes", type="longblob")) == Mask(("image",))
    assert mask(columns("customer_email", "buyer_accepts_email", kind="boolean")) == Mask()
    assert mask(columns("shipping", "Shipping", kind="decimal")) == Mask()


def test_settings_add_columns_show_columns_and_hide_the_unknown() -> None:
    listed = [*columns("id", "Gift Message", "tags", "sku", "warehouse"), *columns("extra", "note", kind="json")]
    assert mask(listed) == Mask(("Gift Message", "extra", "note"))
    assert mask(listed, personal="TAGS, ware*") == Mask(("Gift Message", "tags", "warehouse", "extra", "note"))
    assert mask(listed, safe="gift_message,extra") == Mask(("note",), ("extra",))
    assert mask(listed, safe="*") == Mask((), ("extra", "note"))
    assert mask(listed, safe="*", personal="sku").hidden == ("sku",)
    assert mask(listed, mask_unknown=True).hidden == ("Gift Message", "tags", "warehouse", "extra", "note")


def test_a_column_with_a_personal_role_is_hidden_under_any_name() -> None:
    listed = [*columns("c1", "c2", "sku"), *columns("c3", "c4", kind="json")]
    assert mask(listed).hidden == ("c3", "c4")
    setup = Setup(columns={"email": "c1", "customer_name": "c2", "address": "c3", "line_items": "c4", "country": ""})
    assert mask(listed, setup) == Mask(("c1", "c2", "c3"), ("c4",))


@pytest.mark.slow
@pytest.mark.parametrize("name", soak_but(("woocommerce_like",), SCHEMAS))
def test_what_a_reading_says_is_personal_is_hidden(name: str) -> None:
    schema = SCHEMAS[name]
    with schema_orders(schema) as orders:
        roles = orders.reading.roles | {f"{role} else": name for role, name in orders.reading.fallbacks.items()}
    hidden = mask(list(columns_of(schema))).hidden
    for role, column in roles.items():
        if role in DESCRIPTIVE_ROLES:  # a city is personal, and tags are not
            continue
        assert (column in hidden) == (role.split()[0] in ("email", "customer_name", "address")), role


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"id": 1, "customer": {"email": "a@b.c"}, "total": "1.50"}, {"id": 1, "total": "1.50"}),
        ({"shipping_address": ADDRESS, "billingAddress": ADDRESS, "currency": "EUR"}, {"currency": "EUR"}),
        ([{"title": "Mug", "properties": [{"name": "For", "value": "Ida"}]}], [{"title": "Mug"}]),
        (
            {"edges": [{"node": {"title": "Mug", "customAttributes": [{"value": "Ida"}]}}]},
            {"edges": [{"node": {"title": "Mug"}}]},
        ),
        ({"client_details": {"browser_ip": "1.2.3.4"}, "order_status_url": "https://…", "n": 1.5}, {"n": 1.5}),
        (
            {"refunds": [{"note": "Ida", "transactions": [{"receipt": {"payer": "a@b.c"}}]}]},
            {"refunds": [{"transactions": [{}]}]},
        ),
        (
            {"deliver": [{"name": "Ida", "phone": "1"}], "line": {"name": "Mug"}},
            {"deliver": [{}], "line": {"name": "Mug"}},
        ),
        (
            {"billing": {**ADDRESS, "name": "Ida"}, "raw": '{"email": "a@b.c"}'},
            {"billing": {"country_code": "DE"}, "raw": None},
        ),
    ],
)
def test_personal_paths_are_removed_from_json_and_the_rest_stays(value: Any, shown: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert json.loads(without_personal_data(text.encode()) or b"") == shown
    assert json.loads(without_personal_data(json.dumps(text).encode()) or b"") == shown  # encoded twice


def test_numbers_and_escapes_stay_as_they_are_written() -> None:
    text = '{"a": 1.10, "b": 123456789012345678901234567890, "c": "\\u00e9", "em\\u0061il": "x", "email": "y"}'
    assert without_personal_data(text.encode()) == (b'{"a":1.10,"b":123456789012345678901234567890,"c":"\\u00e9"}')


def test_what_is_no_json_shows_the_mask() -> None:
    (text,), (nested,) = columns("line_items"), columns("line_items", kind="json")
    assert [pruned_text(text, value) for value in ("Ida", "[1]", None, "{", '"a"', "7")] == [
        *(MASK, "[1]", None, MASK, MASK, MASK)
    ]
    assert [pruned_text(nested, value) for value in ("Ida", '{"a":1}', "")] == [None, '{"a":1}', None]
    assert pruned_text(nested, "[" * 100_000 + "]" * 100_000) is None


def test_rows_as_json_are_masked_as_their_values_are() -> None:
    listed = [*columns("id", "note", "items"), *columns("line_items", "extra", kind="json")]
    rows = (
        b'{"id":"1","note":"Ida","items":"[{\\"note\\": 1}]","line_items":[{"note":"Ida","sku":"A"}],"extra":{"a":1}}'
    )
    hidden = mask(listed)
    assert hidden == Mask(("note", "extra"), ("items", "line_items"))
    masked = b'{"id":"1","note":"***","items":"[{}]","line_items":[{"sku":"A"}],"extra":null}'
    assert hidden.json_rows(listed, rows + b"," + rows) == masked + b"," + masked
    assert hidden.json_rows(listed, b"") == b""


@pytest.mark.slow
def test_a_key_that_is_personal_is_neither_shown_nor_searched_nor_found() -> None:
    with schema_orders(SCHEMAS["shopify_rest"]) as orders:
        key = orders.page(None, limit=1).rows[0][ROW_KEY]
        hidden = Mask(orders.facts.key_columns)
        assert (orders.page(None, search=key).count, orders.page(None, search=key, mask=hidden).count) == (1, 0)
        assert orders.order(key) and orders.order(key, hidden) is None
        assert {row[ROW_KEY] for row in orders.page(None, mask=hidden).rows} == {MASK}
        assert {customer.key for customer in customers(orders, None, mask=hidden)} == {MASK}


@pytest.mark.slow
def test_line_items_of_a_hidden_column_are_neither_shown_nor_searched() -> None:
    with schema_orders(SCHEMAS["shopify_rest"]) as orders:
        key = orders.page(None, limit=1).rows[0][ROW_KEY]
        hidden = Mask((orders.roles["line_items"].name,))
        title = orders.lookup.lines(key)[0]["title"]
        assert orders.page(None, search=title).count and not orders.page(None, search=title, mask=hidden).count
        assert not orders.lookup.lines(key, hidden)
