// Who is signed in, and where in the page one is. Credentials stay in this tab: sessionStorage.

const KEY = "chatkeep.credentials";

// A link that signs in has #token=...: it is taken, and removed from the address at once.
export function takeFragment() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get("token");
  if (!token) return;
  save({ token, user: fragment.get("user") ?? "" });
  history.replaceState(null, "", location.pathname + location.search);
}

export function load() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

export function save(credentials) {
  sessionStorage.setItem(KEY, JSON.stringify(credentials));
}

export function forget() {
  sessionStorage.removeItem(KEY);
}

// The user of a token, to show them: the service alone decides whether it is valid.
export function userOf({ token, user }) {
  if (user) return user;
  try {
    const payload = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)).sub ?? "";
  } catch {
    return "";
  }
}

// #/c/<conversation>/m/<message>, or /i/<item>: what is shown. A branch is a parameter: ?branch=2
export function route() {
  const [place, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = place.split("/").map(decode);
  const parameters = new URLSearchParams(query);
  return {
    isOperator: parts[0] === "operator",
    conversation: parts[0] === "c" ? parts[1] || null : null,
    message: parts[2] === "m" ? parts[3] || null : null,
    item: parts[2] === "i" ? parts[3] || null : null,
    branch: parameters.get("branch"),
  };
}

export function link({ conversation, message, item, branch }) {
  if (!conversation) return "#/";
  const within = message ? `/m/${encodeURIComponent(message)}` : item ? `/i/${encodeURIComponent(item)}` : "";
  const place = `#/c/${encodeURIComponent(conversation)}${within}`;
  return (branch ?? "") === "" ? place : `${place}?branch=${encodeURIComponent(branch)}`;
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
