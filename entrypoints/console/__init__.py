"""The console: a page to look at conversations. It speaks the public API, with a token."""
