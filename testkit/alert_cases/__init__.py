"""Unit tests of the alert rules: what each must say of series, computed apart from PromQL."""
