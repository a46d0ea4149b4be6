"""The shop's 200 products and what they cost in each currency."""

from typing import NamedTuple

import numpy as np

# Money is counted in hundredths of its currency; its smallest step (a yen has no sen).
STEP = {"USD": 1, "EUR": 1, "GBP": 1, "CAD": 1, "JPY": 100}
_PER_DOLLAR = {"USD": 100, "EUR": 95, "GBP": 80, "CAD": 135, "JPY": 15_000}

_KINDS = {  # kind: (code, price in US cents)
    "T-shirt": ("TEE", 2400),
    "Hoodie": ("HOD", 5900),
    "Beanie": ("BNE", 1900),
    "Tote bag": ("TOT", 1600),
    "Backpack": ("BPK", 8900),
    "Travel mug": ("MUG", 2200),
    "Water bottle": ("BTL", 2800),
    "Notebook": ("NTB", 1200),
    "Fountain pen": ("PEN", 3400),
    "Desk lamp": ("LMP", 7900),
    'Monitor arm 27"': ("ARM", 12900),
    "Wool blanket": ("BLK", 9900),
    "Candle": ("CDL", 1800),
    "Café cup": ("CUP", 1500),
    "Sneakers": ("SNK", 11900),
    "Rain jacket": ("JKT", 14900),
    "Socks, 3 pairs": ("SOX", 1400),
    "Scarf": ("SCF", 3900),
    "Phone case": ("CSE", 2500),
    "Poster 50×70": ("PST", 2900),
}
_STYLES = ("Classic", "Forest", "Midnight", "Sand", "Ocean", "Kids'", "Señorita", "Zürich", "桜 Sakura", "Limited ✨")


class Product(NamedTuple):
    id: int
    title: str
    sku: str
    prices: dict[str, int]  # currency: hundredths


def share(amount: int, numerator: int, denominator: int, step: int) -> int:
    """`amount * numerator / denominator`, rounded half up to a multiple of `step`."""
    return (2 * amount * numerator + denominator * step) // (2 * denominator * step) * step


def converted(cents: int, currency: str) -> int:
    """US cents as hundredths of another currency."""
    return share(cents, _PER_DOLLAR[currency], 100, STEP[currency])


def _products() -> list[Product]:
    products: list[Product] = []
    for k, (kind, (code, base)) in enumerate(_KINDS.items()):
        for s, style in enumerate(_STYLES):
            cents = base * (100 + 6 * s) // 1000 * 10 - 5  # 23.95, 25.35, …
            prices = {currency: converted(cents, currency) for currency in STEP}
            title = f"{style} {kind}"
            products.append(Product(7_800_000_000_000 + 4096 * len(products), title, f"{code}-{k:02d}{s:02d}", prices))
    return products


PRODUCTS = _products()

# A few sell most: the popularity of the n-th is about 1/n, dealt over the catalogue.
_rank = np.random.default_rng(0).permutation(len(PRODUCTS))
POPULARITY = 1 / (_rank + 4.0)
POPULARITY /= POPULARITY.sum()
