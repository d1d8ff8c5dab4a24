# What `make pint` does not ask about the shipped rules, and why.

# The slow baselines look at a week, and are computed every ten minutes. Whatever reads them takes
# the last value of half an hour; tests/alerts/test_rules.py holds that.
rule {
  match {
    kind = "recording"
    name = ".*:(median7d|usual|spread[0-9a-z]+)"
  }
  disable = ["group/interval"]
}

# A group has at most 20 rules (Mimir), so that baselines, flow and failures are groups of their
# own. What is read across them changes little from one evaluation to the next.
rule {
  match {
    kind = "recording"
  }
  disable = ["rule/dependency"]
}

# A baseline is more than 0 where there is one: its numerator has half a failure added to it.
rule {
  match {
    name = "application_direction:bandwidth_voice_application_failure_ratio:median7d"
  }
  disable = ["promql/nan"]
}
