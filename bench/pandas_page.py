"""What one would write first: the overview as a Streamlit page over a pandas frame of the whole table.

The frame is read once for all visitors, with the columns that the page needs, amounts as floats. Run by
bench/dashboard.py; PARQUET names the folder of the segments.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import streamlit as st

AMOUNTS = ["subtotal_price", "total_discounts", "total_shipping", "total_tax", "total_price", "total_refunded"]
PARTS = ["financial_status", "fulfillment_status", "source_name", "discount_code"]
DAYS = 30


@st.cache_resource
def orders() -> pd.DataFrame:
    columns = ["created_at", "customer_id", "currency", "test", *AMOUNTS, *PARTS]
    files = sorted(Path(os.environ["PARQUET"]).glob("*/rows.parquet"))
    frame = pd.concat([pd.read_parquet(file, columns=columns) for file in files], ignore_index=True)
    frame[AMOUNTS] = frame[AMOUNTS].astype(float)
    frame[[*PARTS, "currency"]] = frame[[*PARTS, "currency"]].astype("category")
    frame["first"] = frame.groupby("customer_id")["created_at"].transform("min")
    return frame[frame["test"] == 0]


def figures(frame: pd.DataFrame) -> dict[str, float]:
    buyers = frame.groupby("customer_id")
    again = (frame["created_at"] > frame["first"]).groupby(frame["customer_id"]).any()
    return {
        "Total sales": (frame["total_price"] - frame["total_refunded"]).sum(),
        "Orders": len(frame),
        "Average order value": frame["total_price"].mean(),
        "Returning customer rate": 100 * again.mean(),
        "Net sales": (frame["subtotal_price"] - frame["total_refunded"]).sum(),
        "Discounts": frame["total_discounts"].sum(),
        "Taxes": frame["total_tax"].sum(),
        "Customers": buyers.ngroups,
    }


st.title("Orders overview")
frame = orders()
frame = frame[frame["currency"] == "USD"]
channels = st.pills("Channel", list(frame["source_name"].cat.categories), selection_mode="multi")
if channels:
    frame = frame[frame["source_name"].isin(channels)]
end = frame["created_at"].max()
start, before = end - pd.Timedelta(days=DAYS), end - pd.Timedelta(days=2 * DAYS)
now = frame[frame["created_at"] > start]
then = frame[(frame["created_at"] > before) & (frame["created_at"] <= start)]
past = figures(then)
for column, (name, value) in zip(st.columns(8), figures(now).items(), strict=True):
    column.metric(name, f"{value:,.2f}", f"{value - past[name]:,.2f}")
st.line_chart(now.set_index("created_at")["total_price"].resample("D").sum())
for part in PARTS:
    st.dataframe(now.groupby(part, observed=True)["total_price"].agg(["count", "sum"]).sort_values("sum"))
