"""What no schema can say, as schemathesis is told: parameters that contradict each other, and what depends on what was
asked before."""

from __future__ import annotations

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import RejectedPositiveData

from api.contract.queries.csv_parameters import PARAMETERS as CSV_PARAMETERS

UNSAID = (
    "contradict each other",
    "needs JSON",
    "is for streams",
    "is less than 'start_row'",
    "is for CSV",
    "'after' does not parse",
    "'after' belongs to another",
    "an ISO 8601 date",  # one of several, for `in`: lists have no format
    "is later than the newest",
    "a day from 1970",
    "has the currency",
    "needs 'from' and 'to'",
    "needs 'compare_from'",
    "is for period=custom",
    "is for compare=custom",
    "is later than 'to'",
    "is later than 'compare_to'",
    "needs a period",
    "needs exchange rates",
    "the table has no column",
    "'since' does not parse",
    "Parameter 'sort' names",  # a column in both directions
    "unknown_generation",
    "changes_gone",
    "There are more than",  # a filter for each operator of each dimension, all at once
)
UNREAD = (304, 413)  # answered before the rest is read: `If-None-Match: *`, and bodies that are too long
MANY = 6


@schemathesis.hook
def map_case(context: schemathesis.HookContext, case: schemathesis.Case) -> schemathesis.Case:
    """Leaves out what contradicts the rest, so that most of what is right by the schema is right."""
    meta, query = case.meta, case.query
    if meta and meta.generation.mode.is_positive and query:
        query.pop("after", None)
        if query.get("stream") or query.get("refresh"):
            query.pop("wait", None)
        if len(query) > MANY:  # a sync each would take minutes in all
            query.pop("wait", None)
            query.pop("refresh", None)
        if query.get("stream") or query.get("facet") or query.get("metadata_only"):
            query.pop("format", None)
        if query.get("format") != "csv":
            for parameter in CSV_PARAMETERS:
                query.pop(parameter.name, None)
    return case


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext, failure: Failure, case: schemathesis.Case, response: schemathesis.Response
) -> bool:
    if response.status_code in UNREAD:
        return not isinstance(failure, AcceptedNegativeData)
    unsaid = case.operation.path == "/sign" or any(said in response.text for said in UNSAID)  # a query within a body
    return not (isinstance(failure, RejectedPositiveData) and unsaid)
