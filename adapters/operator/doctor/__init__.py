"""`chatkeep doctor`: is this database what chatkeep needs, and does it keep the promises."""
