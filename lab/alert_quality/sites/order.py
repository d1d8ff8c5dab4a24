"""In which order the rules of a file can be evaluated, those included that read their own past."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import msgspec
import promql_parser
from promql_parser import Expr, MatrixSelector, SubqueryExpr, VectorSelector

from lab.alert_quality.rules import Rule, RuleSet

_LEAST_LAG = 24 * 3_600_000  # milliseconds: what reads its past at all reads a day's or a week's
_CHILDREN = ("lhs", "rhs", "expr", "param", "vector_selector")


class Stage(msgspec.Struct, frozen=True):
    """Rules to be evaluated one after another; ``lag`` None: over the whole time at once.

    Else they read what they record, from ``lag`` milliseconds ago and before: they are evaluated
    over so long a time, then over the next.
    """

    rules: tuple[Rule, ...]
    lag: int | None


def stages(rule_set: RuleSet, metrics: Collection[str]) -> tuple[Stage, ...]:
    """Put the alerts that read nothing but these metrics, and all they need, in their order.

    Raises ValueError where a rule reads what it records, directly or not, less than a day ago.
    """
    reads = {id(rule): _reads(rule) for rule in rule_set.rules}
    by_name: dict[str, list[Rule]] = {}
    for rule in rule_set.rules:
        if rule.record:
            by_name.setdefault(rule.record, []).append(rule)
    alerts = []
    needed: set[str] = set()
    for rule in rule_set.rules:
        names = _all_read(rule, reads, by_name)
        if rule.alert and names - by_name.keys() <= set(metrics):
            alerts.append(rule)
            needed |= names & by_name.keys()
    own = {name: by_name[name] for name in by_name if name in needed}
    lags = {name: _joined(reads[id(rule)] for rule in rules) for name, rules in own.items()}
    return (*_recorded(own, lags), Stage(tuple(alerts), None))


def replayed(found: Sequence[Stage]) -> tuple[str, ...]:
    """The names of the alerts, each once."""
    names = (rule.alert for stage in found for rule in stage.rules if rule.alert)
    return tuple(dict.fromkeys(names))


def _recorded(
    own: Mapping[str, Sequence[Rule]], lags: Mapping[str, Mapping[str, int]]
) -> Iterator[Stage]:
    loops = _loops({name: set(lags[name]) & own.keys() for name in own})
    loop_of = {name: place for place, loop in enumerate(loops) for name in loop}
    between = {
        place: {loop_of[other] for name in loop for other in lags[name] if other in own} - {place}
        for place, loop in enumerate(loops)
    }
    for place in TopologicalSorter({k: sorted(v) for k, v in between.items()}).static_order():
        loop = loops[place]
        inner = {name: {o: lag for o, lag in lags[name].items() if o in loop} for name in loop}
        late = [lag for of in inner.values() for lag in of.values() if lag >= _LEAST_LAG]
        graph = {
            name: sorted(other for other, lag in of.items() if lag < _LEAST_LAG)
            for name, of in inner.items()
        }
        try:
            order = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            raise ValueError(f"rules that read themselves at once: {error.args[1]}") from None
        rules = tuple(rule for name in order for rule in own[name])
        yield Stage(rules, min(late) if late else None)


def _loops(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Names that read each other, together; most are alone."""
    reach = {name: set(others) for name, others in graph.items()}
    # Few names are in loops, so that the plain closure is quick enough.
    changed = True
    while changed:
        changed = False
        for name, others in reach.items():
            more = set().union(others, *(reach[other] for other in others))
            if len(more) > len(others):
                reach[name] = more
                changed = True
    found: list[list[str]] = []
    done: set[str] = set()
    for name in graph:
        if name not in done:
            loop = [
                name,
                *(o for o in graph if o != name and name in reach[o] and o in reach[name]),
            ]
            done.update(loop)
            found.append(loop)
    return found


def _all_read(
    rule: Rule, reads: Mapping[int, Mapping[str, int]], by_name: Mapping[str, Sequence[Rule]]
) -> set[str]:
    found: set[str] = set()
    waiting = set(reads[id(rule)])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting |= set().union(*(reads[id(one)] for one in by_name.get(name, ())))
    return found


def _joined(reads: Iterator[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in reads:
        for name, lag in one.items():
            found[name] = min(lag, found.get(name, lag))
    return found


def _reads(rule: Rule) -> dict[str, int]:
    """The names that a rule reads, and how long ago at least, in milliseconds."""
    found: dict[str, int] = {}
    for name, lag in _selected(promql_parser.parse(rule.expr), 0):
        found[name] = min(lag, found.get(name, lag))
    return found


def _selected(expr: Expr, lag: int) -> Iterator[tuple[str, int]]:
    if isinstance(expr, VectorSelector | SubqueryExpr) and expr.offset is not None:
        lag += round(expr.offset.total_seconds() * 1000)
    if isinstance(expr, VectorSelector):
        assert expr.name is not None, f"a selector without a name: {expr}"
        yield expr.name, lag
        return
    children = [getattr(expr, name, None) for name in _CHILDREN]
    if isinstance(expr, MatrixSelector):
        children = [expr.vector_selector]
    for child in (*children, *(getattr(expr, "args", None) or ())):
        if child is not None and not isinstance(child, str):
            yield from _selected(child, lag)
