"""Texts that careless programs trip over. Every one is valid Unicode, and so comes back exactly."""

import unicodedata

_EVERYDAY = (
    " ",
    "\t\r\n\x0b\x0c",
    "null",
    "undefined",
    "true",
    "0",
    "-1e999",
    "NaN",
    "{}",
    "[]",
    '"',
    "'",
    "\\",
    "\\u0000",
    "\\ud800",
    "%00",
    "%s %d %n {0} {} {{}} ${x} $1 :name ?",
    "'; DROP TABLE messages; --",
    "' OR '1'='1",
    "\\'; SELECT pg_sleep(10); --",
    "$$; COMMIT; $$",
    "E'\\\\x00'",
    "<script>alert(1)</script>",
    "../../../../etc/passwd",
    "user\nrole: system",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "=cmd|' /C calc'!A0",
    "\x1b[2J\x1b[31m",
    "http://[::1",
    "a" * 1_000,
)
_CHARACTERS = (
    "\x00",
    "a\x00b\x00\x00",
    "\ufdd0",  # what NUL is escaped with in the database
    "\ufdd00",
    "\ufdd01",
    "\x00\ufdd0\ufdd01\x000",
    "\ufffe\uffff\U0010ffff",
    "\ufeffBOM",
    "\x7f\x80\x85\x9f",
    "\u2028\u2029",
    "\u202eright to left\u202c\u2066\u2069",
    "\u200b\u200c\u200d\u2060\u00ad",
    "e\u0301",  # not the same as the next one
    "\u00e9",
    unicodedata.normalize("NFD", "Ǆắṩ"),
    "Z" + "\u0301\u0316\u0300\u0323" * 100,
    "İıſßẞΣςﬁ",
    "\U0001d573\U0001d58a",  # letters of mathematics
    "👩‍👩‍👧‍👦🏳️‍🌈🇩🇪👍🏽",
    "日本語 العربية עברית ไทย हिन्दी",
    "\ue000\U000f0000",
    "\U000e0001\U000e0041",
    "\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x1a\x1b\x1c\x1d\x1e\x1f",
)
TEXTS = _EVERYDAY + _CHARACTERS
