"""`chatkeep doctor`: checks that a database has what chatkeep needs and keeps its promises."""
