// Made-up conversations for a first look at an empty service.

export const samples = [
  {
    title: "Lunch at the office",
    messages: [
      { role: "system", content: "You help the people of a small office. Be brief." },
      { role: "user", content: "What is there to eat today?" },
      { role: "assistant", content: null, tool_calls: [{ id: "call_menu", type: "function", function: { name: "menu", arguments: "{\"day\":\"today\"}" } }] },
      { role: "tool", tool_call_id: "call_menu", name: "menu", content: "{\"soup\":\"lentil\",\"main\":[\"pasta\",\"curry\"],\"price\":8.5}" },
      { role: "assistant", content: "Today there is:\n\n- **lentil soup**\n- pasta\n- curry\n\nEach menu is *8.50*. Shall I order something?" },
      { role: "user", content: "Two curries, please." },
      { role: "assistant", content: "Done: two curries at 12:30." },
    ],
  },
  {
    title: "A function that counts words",
    messages: [
      { role: "user", content: "Write a Python function that counts the words of a text." },
      { role: "assistant", content: "Here it is:\n\n```python\nfrom collections import Counter\n\n\ndef count_words(text: str) -> Counter[str]:\n    \"\"\"Return how often each word occurs.\"\"\"\n    return Counter(text.casefold().split())\n```\n\n| text | result |\n| --- | --- |\n| `a b a` | `a: 2, b: 1` |\n| empty | no words |" },
      { role: "user", content: "And for 日本語?" },
      { role: "assistant", content: "Japanese has no spaces between words, so `split()` returns the whole sentence. Use a tokenizer there, or count pairs of characters." },
    ],
  },
  {
    title: "سؤال عن الطقس",
    messages: [
      { role: "user", content: "كيف الطقس في القاهرة اليوم؟" },
      { role: "assistant", content: "مشمس، 24 درجة." },
    ],
  },
];
