// The form for a token, or for a service key and a user. It asks the service before it lets in.

import { Api, Problem } from "./api.js";
import { h } from "./dom.js";
import { text } from "./strings.js";

export function signInForm(problem, signedIn) {
  const message = h("p", { class: "problem", role: "alert" }, problem ?? "");
  const token = h("input", { id: "token", name: "token", type: "password", autocomplete: "off", required: true, spellcheck: "false" });
  const user = h("input", { id: "user", name: "user", autocomplete: "off", spellcheck: "false", "aria-describedby": "user-hint" });
  const operator = h("input", { id: "operator", name: "operator", autocomplete: "name", spellcheck: "false", maxlength: "100", "aria-describedby": "operator-hint" });
  const submit = h("button", { type: "submit", class: "primary" }, text.signIn.submit);

  async function onsubmit(event) {
    event.preventDefault();
    submit.disabled = true;
    message.textContent = "";
    const credentials = { token: token.value.trim(), user: user.value.trim(), operator: operator.value.trim() };
    try {
      await new Api(credentials).send("GET", "me");
      signedIn(credentials);
    } catch (error) {
      const needsUser = error instanceof Problem && error.status !== 401 && error.status !== 0 && !credentials.user;
      message.textContent = needsUser ? `${text.signIn.needsUser} (${error.message})` : text.signIn.refused(error.message);
      (needsUser ? user : token).focus();
    } finally {
      submit.disabled = false;
    }
  }

  return h("main", { class: "sign-in" },
    h("form", { onsubmit },
      h("h1", {}, text.signIn.title),
      h("p", {}, text.signIn.lead),
      message,
      h("label", { for: "token" }, text.signIn.token),
      token,
      h("label", { for: "user" }, text.signIn.user),
      user,
      h("p", { id: "user-hint", class: "note" }, text.signIn.userHint),
      h("label", { for: "operator" }, text.operator.name),
      operator,
      h("p", { id: "operator-hint", class: "note" }, text.operator.nameHint),
      submit,
      h("p", { class: "note" }, text.signIn.hint),
    ),
  );
}
