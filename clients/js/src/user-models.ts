// The user, and other users for service keys.

import type { Page } from "./page-models.js";

/** How much the user has stored. `retained` is how many conversations are on hold. */
export interface Usage {
  user_id: string;
  conversations: number;
  active: number;
  archived: number;
  messages: number;
  retained: number;
}

/** A user. At most 1,000 conversations are counted; without any there is no activity. */
export interface ListedUser {
  id: string;
  conversations: { value: number; exact: boolean };
  latest_activity: string | null;
}

/** Users by id. `next_cursor` is null on the last page. */
export type UserPage = Page<ListedUser>;

/** A user who may own conversations. `created` says whether they are new. */
export interface User {
  id: string;
  created: boolean;
}
