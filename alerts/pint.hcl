// What pint's findings in the alert rules are, where they are no faults; `make pint` needs pint for it.

checks {
  disabled = [
    // From the counters to a page everything is in one group, which a test holds. Across groups rules
    // read what changes slowly, or what no page waits for: a minute late is soon enough.
    "rule/dependency",
  ]
}

// Computed every ten minutes, and read as the last value of half an hour: no gap is seen.
rule {
  match {
    name = ".+:(median7d|usual|spread[0-9]+[mh])"
  }
  disable = ["group/interval"]
}

// The shares that are added up have 300 calls and more in their denominators: never 0/0.
rule {
  match {
    name = "application_direction:bandwidth_voice_application_failure_ratio:median7d"
  }
  disable = ["promql/nan"]
}
