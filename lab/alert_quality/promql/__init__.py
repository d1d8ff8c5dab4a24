"""PromQL in NumPy: a rule evaluated over weeks at once, for tuning what Prometheus judges."""

from lab.alert_quality.promql.evaluator import Evaluator

__all__ = ["Evaluator"]
