// Dialogs: to rename, to choose a date, and to delete after a word was typed. Each returns a promise.

import { h } from "./dom.js";
import { text } from "./strings.js";

function ask(title, content, submitLabel, isDangerous) {
  const submit = h("button", { type: "submit", value: "yes", class: isDangerous ? "danger" : "primary" }, submitLabel);
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" },
    h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, title),
      content,
      h("div", { class: "buttons" },
        h("button", { type: "button", class: "plain", onclick: () => dialog.close("") }, text.cancel),
        submit,
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  const closed = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
  });
  return { dialog, submit, closed };
}

// Returns the new title, or null.
export async function askForTitle(title) {
  const input = h("input", { id: "new-title", value: title ?? "", autocomplete: "off" });
  const { closed } = ask(text.dialogs.renameTitle, [h("label", { for: "new-title" }, text.dialogs.titleLabel), input], text.dialogs.save);
  input.select();
  return (await closed) ? input.value.trim() : null;
}

// Returns the beginning of a day, or null. `suggested` is a time of the day that is shown at first.
export async function askForDate(suggested) {
  const input = h("input", { id: "date", type: "date", required: true, value: dayOf(new Date(suggested)) });
  const { closed } = ask(text.date.title, [h("label", { for: "date" }, text.date.label), input], text.date.go);
  input.focus();
  return (await closed) && input.value ? new Date(`${input.value}T00:00`) : null;
}

function dayOf(date) {
  const two = (number) => String(number).padStart(2, "0");
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

// Returns whether the word was typed.
export function askToDelete(conversation) {
  const word = text.dialogs.removeWord;
  const lead = h("p", {}, text.dialogs.removeLead(conversation.message_count));
  return confirmTyped(text.dialogs.removeTitle, lead, word, text.dialogs.remove, (typed) => typed.toLowerCase() === word);
}

// Returns whether the id of the user was typed.
export function askToErase(user, usage) {
  const lead = h("p", {}, text.operator.eraseLead(usage));
  return confirmTyped(text.operator.eraseTitle, lead, user, text.operator.eraseNow, (typed) => typed === user.trim());
}

function confirmTyped(title, lead, word, label, isRight) {
  const input = h("input", { id: "confirmation", autocomplete: "off", spellcheck: "false" });
  const { submit, closed } = ask(title, [lead, h("label", { for: "confirmation", dir: "auto" }, text.dialogs.removeType(word)), input], label, true);
  submit.disabled = true;
  input.addEventListener("input", () => (submit.disabled = !isRight(input.value.trim())));
  input.focus();
  return closed;
}
