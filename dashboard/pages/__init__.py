"""The pages, in the order of the navigation."""

from collections.abc import Callable, Mapping

from dashboard.pages.api import api
from dashboard.pages.customers.page import customers
from dashboard.pages.explore.page import explore
from dashboard.pages.orders import orders
from dashboard.pages.overview.page import overview
from dashboard.pages.products.page import products
from dashboard.pages.settings import settings
from dashboard.pages.syncs import syncs
from dashboard.pages.taxes import taxes
from dashboard.pages.views import views
from dashboard.pages.what_changed import what_changed
from dashboard.session import Session

PAGES: Mapping[str, tuple[str, str, Callable[[Session], None]]] = {
    "overview": ("Overview", ":material/monitoring:", overview),
    "explore": ("Explore", ":material/query_stats:", explore),
    "what-changed": ("What changed", ":material/difference:", what_changed),
    "orders": ("Orders", ":material/receipt_long:", orders),
    "products": ("Products", ":material/sell:", products),
    "customers": ("Customers", ":material/group:", customers),
    "taxes": ("Taxes", ":material/account_balance:", taxes),
    "views": ("Views", ":material/bookmarks:", views),
    "data": ("Data", ":material/database:", syncs),
    "api": ("API", ":material/api:", api),
    "set-up": ("Settings", ":material/tune:", settings),
}
"""Path -> title, icon, and the function that draws the page. The first one stands at the root."""

PAGE_PATHS = frozenset(("/", *(f"/{path}" for path in PAGES)))
"""The addresses of the pages."""
