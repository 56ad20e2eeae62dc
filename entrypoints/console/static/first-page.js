// Asks for the first page of the list while the browser loads the rest: this module waits for no other.

import { ask } from "./api.js";
import { load, takeFragment } from "./session.js";

export const FIRST_PAGE = { status: "active", limit: 50 };

takeFragment();
const credentials = load();
if (credentials) ask(credentials, "conversations", FIRST_PAGE);
