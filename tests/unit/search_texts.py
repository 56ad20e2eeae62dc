"""Texts to try search with: of many scripts, and of what is treated in another way."""

from hypothesis import strategies as st

# Of each kind that is treated in another way, and what changes its length.
PIECES = st.sampled_from(
    [
        *"aAzZ09_-'.,#+ \"\n\0ıİßéÅäÖйЙλς中国のーカ한글가กิ้ാक़हाँشםۀ🏃😂🏽🇩🇪❤✓™²½㎏①ﷺﬁ",
        *("\u200d", "\u200c", "\u200b", "\u00ad", "\ufe0f", "\u20e3", "\ud800", "\ufdd0"),
        *("\u0301", "\u0308", "\u3099", "\u093c", "\u064b", "\u0345", "\u0378", "ǆ"),
        *("\u1100", "\u1161", "\u11a8", "ｶ", "ﾞ", "ㄱ", "ㅏ"),
        *("getName", "e-mail", "don't", 'צה"ל', "gpt4", "C++", "1,000"),
        *("👩\u200d💻", "日本語", "ไทย"),
    ]
)
TEXTS = st.lists(PIECES | st.characters(), max_size=24).map("".join)
