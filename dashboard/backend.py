"""What all sessions of one process share: the cache, the settings, and the orders of the newest generation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from cache.analytics.exchange_rates import RatesFile
from cache.settings import Settings
from cache.storage.backends import open_cache
from cache.storage.documents import API_KEYS
from cache.storage.store import Cache
from dashboard.auth.identity import Identities
from dashboard.orders_loader import OrdersLoader
from dashboard.shop import Shop


@dataclass(frozen=True)
class Backend:
    """What all sessions of one process share.

    Attributes:
        cache: The cache.
        settings: The settings.
        secret: The secret of the cache, for signatures.
        identities: Recognises visitors.
        orders: Loads orders out of the cache.
        rates_file: Exchange rates; None where the settings name none.
        shop: The shop's name and logo.
    """

    cache: Cache
    settings: Settings
    secret: str
    identities: Identities
    orders: OrdersLoader
    rates_file: RatesFile | None
    shop: Shop

    @classmethod
    def open(cls, settings: Settings) -> Backend:
        """Opens the cache that the settings name.

        Raises:
            SettingsInvalid: CACHE_URL, RATES_FILE, SHOP_LOGO or a password is not valid.
            CacheError: The cache cannot be opened.
        """
        opened = open_cache(settings.cache_place)
        opened.snapshots.follow()
        secret = opened.documents.read(API_KEYS).secret
        identities = Identities(settings, opened.documents, secret)
        orders = OrdersLoader(opened, settings.shop_timezone, settings.week_start, settings.cancelled_orders)
        return cls(opened, settings, secret, identities, orders, RatesFile.of(settings), Shop.of(settings))


@cache
def shared_backend() -> Backend:
    """The backend of this process, opened at the first call.

    Streamlit runs the script of the pages by its path, so nothing can be passed to it: server and script both ask here.

    Raises:
        SettingsInvalid: A setting is not valid.
        CacheError: The cache cannot be opened.
    """
    return Backend.open(Settings.load())
