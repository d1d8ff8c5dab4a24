"""Tables: one row for each label set, the values of several queries side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bandwidth_voice_exporter.dashboards.colour import Json, mappings
from bandwidth_voice_exporter.dashboards.panel import DATASOURCE, MADE_FOR, About, Target, queries


@dataclass(frozen=True)
class Column:
    """A label, or a query's value (`Value #A`; `Value` where there is one query), and its look."""

    source: str
    title: str
    unit: str = "string"
    width: int | None = None
    colours: Mapping[str, str] = field(default_factory=dict)
    link: tuple[str, str] | None = None  # title, address


def table(about: About, columns: Sequence[Column], *targets: Target, sort_by: str = "") -> Json:
    """Return a table of these columns and no others, its numbers sorted from the largest on."""
    found = queries(targets, instant=True)
    for query in found:
        query["format"] = "table"
    return {
        "type": "table",
        "title": about.title,
        "description": about.description,
        "datasource": dict(DATASOURCE),
        "pluginVersion": MADE_FOR,
        "targets": found,
        "transformations": [
            {"id": "merge", "options": {}},
            {
                "id": "filterFieldsByName",
                "options": {"include": {"names": [column.source for column in columns]}},
            },
            {
                "id": "organize",
                "options": {
                    "indexByName": {column.source: at for at, column in enumerate(columns)},
                    "renameByName": {column.source: column.title for column in columns},
                },
            },
        ],
        "fieldConfig": {
            "defaults": {
                "unit": "string",
                "noValue": about.empty,
                "custom": {"align": "auto", "filterable": False},
            },
            "overrides": [_override(column) for column in columns],
        },
        "options": {
            "showHeader": True,
            "cellHeight": "sm",
            "sortBy": [
                {"displayName": column.title, "desc": column.unit != "string"}
                for column in columns
                if column.title == sort_by
            ],
        },
    }


def _override(column: Column) -> Json:
    properties: list[Json] = [{"id": "unit", "value": column.unit}]
    if column.unit == "locale":
        properties.append({"id": "decimals", "value": 0})
    if column.width is not None:
        properties.append({"id": "custom.width", "value": column.width})
    if column.colours:
        properties += [
            {"id": "mappings", "value": list(mappings(column.colours))},
            {"id": "custom.cellOptions", "value": {"type": "color-text"}},
        ]
    if column.link is not None:
        title, url = column.link
        link = {"title": title, "url": url, "targetBlank": url.startswith("${")}
        properties.append({"id": "links", "value": [link]})
    return {"matcher": {"id": "byName", "options": column.title}, "properties": properties}
