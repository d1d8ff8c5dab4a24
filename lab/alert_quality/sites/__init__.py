"""Sites that sleep and sites that do not: their calls, their incidents, what rules make of it."""
