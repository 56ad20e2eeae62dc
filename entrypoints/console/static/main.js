// The page: signs in, shows the list and one conversation, and follows the address.

import { Api } from "./api.js";
import { ConversationList } from "./conversation-list.js";
import { announce, h, icon, iconButton, skeletons } from "./dom.js";
import { SearchResults } from "./search-results.js";
import { forget, load, route, save, takeFragment, userOf } from "./session.js";
import { text } from "./strings.js";

customElements.define("conversation-list", ConversationList);
customElements.define("search-results", SearchResults);

const MOMENT = 100; // milliseconds

let views;

// Loads what the list does not need. The list comes first, and does not wait for it.
function loadViews() {
  views ??= Promise.all([import("./conversation-view.js"), import("./operator-view.js"), import("./list-updates.js")]).then(([{ ConversationView }, { OperatorView }, { followList }]) => {
    customElements.define("conversation-view", ConversationView);
    customElements.define("operator-view", OperatorView);
    return { ConversationView, OperatorView, followList };
  });
  return views;
}

class Console extends HTMLElement {
  connectedCallback() {
    addEventListener("hashchange", () => {
      if (new URLSearchParams(location.hash.slice(1)).has("token")) {
        takeFragment();
        this.start();
      } else this.follow();
    });
    addEventListener("keydown", (event) => this.shortcut(event));
    this.start();
  }

  // A slash leads to the search, as on many pages.
  shortcut(event) {
    const isTyping = event.target.closest("input, textarea, select, dialog");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey || !this.list) return;
    event.preventDefault();
    if (!this.list.offsetParent) location.hash = "#/"; // on a phone, the list is behind it
    this.list.field.focus();
  }

  start() {
    const credentials = load();
    if (!credentials) return this.askToSignIn();
    this.aborter?.abort();
    this.aborter = new AbortController();
    this.api = new Api(credentials);
    this.api.addEventListener("refused", ({ detail }) => {
      forget();
      this.askToSignIn(text.signIn.refused(detail));
    });
    this.api.addEventListener("away", () => {
      this.banner.hidden = !this.api.isAway;
      if (!this.api.isAway) announce(text.returned);
    });
    this.banner = h("p", { class: "banner", role: "alert", hidden: true }, text.away);
    this.list = new ConversationList(this.api);
    this.view = this.operator = null;
    this.section = h("section", { id: "conversation", tabindex: "-1", "aria-label": text.conversation.one }, route().conversation && skeletons(text.loading));
    const page = [
      h("a", { class: "skip", href: "#conversation", onclick: (event) => this.skip(event) }, text.skip),
      h("header", { class: "top" },
        h("h1", {}, h("a", { class: "product", href: "#/" }, h("img", { src: "icon.svg", alt: "", width: 24, height: 24 }), text.product)),
        h("span", { class: "who", title: text.account(userOf(credentials)) }, userOf(credentials)),
        credentials.user && h("a", { class: "icon", href: "#/operator", "aria-label": text.operator.open, title: text.operator.open }, icon("chart")),
        credentials.user && iconButton("person", text.users.find, () => this.changeUser(credentials)),
        h("button", { type: "button", class: "plain", onclick: () => this.signOut() }, text.signOut),
      ),
      this.banner,
      h("main", { class: "columns" },
        h("nav", { "aria-label": text.list.title }, this.list),
        this.section,
      ),
    ];
    this.follow();
    this.appear(page);
  }

  // A list that comes at once is in the first frame; for another one there are skeletons.
  async appear(page) {
    const { list } = this;
    await Promise.race([list.loaded, new Promise((resolve) => setTimeout(resolve, MOMENT))]);
    if (list !== this.list) return;
    this.replaceChildren(...page.filter(Boolean));
    await list.loaded;
    // What the list does not need is loaded when it is painted, or later in a hidden tab.
    await Promise.race([new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))), new Promise((resolve) => setTimeout(resolve, MOMENT))]);
    this.open();
  }

  async open() {
    const { api } = this;
    const { ConversationView, OperatorView, followList } = await loadViews();
    if (api !== this.api || this.view || !this.list) return;
    this.view = new ConversationView(api);
    this.operator = new OperatorView(api);
    this.view.addEventListener("changed", ({ detail }) => {
      this.list.happened(detail);
      this.list.update().catch(() => {}); // the next event tries again
    });
    this.operator.addEventListener("changed", () => this.list.refresh());
    followList(api, this.list, this.aborter.signal);
    this.section.replaceChildren(this.view, this.operator);
    this.follow();
  }

  follow() {
    if (!this.list) return;
    const place = route();
    this.classList.toggle("reading", Boolean(place.conversation) || place.isOperator);
    this.list.select(place.conversation);
    if (!this.view) return place.conversation || place.isOperator ? this.open() : undefined;
    this.view.hidden = place.isOperator;
    this.operator.show(place.isOperator);
    this.view.show(place);
  }

  skip(event) {
    event.preventDefault();
    this.querySelector("#conversation").focus();
  }

  // Shows the conversations of another user, with the same service key.
  async changeUser(credentials) {
    const { findUser } = await import("./find-user.js");
    const user = await findUser(this.api);
    if (user === null) return;
    this.view?.close();
    save({ ...credentials, user });
    history.replaceState(null, "", "#/");
    this.start();
  }

  signOut() {
    forget();
    location.hash = "";
    this.askToSignIn();
  }

  async askToSignIn(problem) {
    this.aborter?.abort();
    this.view?.close();
    this.view = this.list = null;
    this.classList.remove("reading");
    const { signInForm } = await import("./sign-in.js");
    this.replaceChildren(signInForm(problem, (credentials) => {
      save(credentials);
      this.start();
    }));
  }
}

customElements.define("chatkeep-console", Console);
