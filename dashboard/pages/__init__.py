"""The pages, in the order of the navigation."""

from dashboard.components.navigation import Pages
from dashboard.pages.api import api
from dashboard.pages.customers import customers
from dashboard.pages.explore import explore
from dashboard.pages.orders import orders
from dashboard.pages.overview import overview
from dashboard.pages.products import products
from dashboard.pages.set_up import set_up
from dashboard.pages.syncs import syncs

PAGES: Pages = {
    "overview": ("Overview", ":material/monitoring:", overview),
    "explore": ("Explore", ":material/query_stats:", explore),
    "orders": ("Orders", ":material/receipt_long:", orders),
    "products": ("Products", ":material/sell:", products),
    "customers": ("Customers", ":material/group:", customers),
    "data": ("Data", ":material/database:", syncs),
    "api": ("API", ":material/api:", api),
    "set-up": ("Set-up", ":material/tune:", set_up),
}
