"""The pages, in the order of the navigation."""

from dashboard.navigation import Pages
from dashboard.pages.orders import orders
from dashboard.pages.overview import overview

PAGES: Pages = {
    "overview": ("Overview", ":material/monitoring:", overview),
    "orders": ("Orders", ":material/receipt_long:", orders),
}
