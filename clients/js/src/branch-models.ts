// Branches, and alternatives to a message.

/**
 * One path through a conversation.
 *
 * `parent` is the branch that it left, `left_at` the last message that it shares, `tip` its last
 * message.
 */
export interface Branch {
  number: number;
  name: string | null;
  is_current: boolean;
  parent: number | null;
  left_at: string | null;
  tip: string | null;
  created_at: string;
}

/** A message that continues from the same message as another one, and its branch. */
export interface Sibling {
  id: string;
  branch: number;
  is_current: boolean;
}
