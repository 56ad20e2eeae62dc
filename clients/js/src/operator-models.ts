// What operators see: the service as a whole, and the audit.

import type { Page } from "./page-models.js";

/** The service as a whole. Without a database it has no storage and no latencies. */
export interface Overview {
  at: string;
  totals: { users: number | null; conversations: number | null; messages: number | null; estimated: boolean };
  days: { day: string; messages: { value: number; exact: boolean } }[];
  drafts: { active: number; interrupted: number; exact: boolean };
  last_sweep: { due: string; finished_at: string | null; archived: number; deleted: number; retained: number } | null;
  /** The last result of `chatkeep doctor`; `healthy` if nothing failed. */
  last_examination: {
    at: string;
    healthy: boolean;
    ok: number;
    warnings: number;
    failed: number;
    skipped: number;
    promises_kept: number;
    promises_broken: number;
  } | null;
  storage: {
    stored_bytes: number;
    database_bytes: number;
    bytes_per_day: number | null;
    plan_bytes: number | null;
    days_left: number | null;
  } | null;
  latencies: {
    bounds_ms: number[];
    counts: number[];
    p50_ms: number | null;
    p95_ms: number | null;
    p99_ms: number | null;
  } | null;
}

/** What an operator asked for. `action` is the `operationId` of the request. */
export interface AuditLine {
  id: string;
  at: string;
  operator: string;
  user_id: string;
  action: string;
  conversation_id: string | null;
  message_id: string | null;
}

/** Lines of the audit, latest first. `next_cursor` is null on the last page. */
export type AuditPage = Page<AuditLine>;
