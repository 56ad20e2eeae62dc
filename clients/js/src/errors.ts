// The errors that a call may throw. All derive from ChatkeepError.

const URN = "urn:chatkeep:problem:";
const SHOWN = 300;

/** The root of all errors of this package. */
export class ChatkeepError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/**
 * The service could not be reached, or the connection broke. `cause` is the error of `fetch`.
 *
 * `mayBeDone` says whether an attempt may have been sent, so that the service may have carried it out.
 */
export class ConnectionFailedError extends ChatkeepError {
  readonly mayBeDone: boolean;

  constructor(message: string, mayBeDone: boolean, options?: ErrorOptions) {
    super(message, options);
    this.mayBeDone = mayBeDone;
  }
}

/** A successful answer that is not one of chatkeep: perhaps the URL is another service's. */
export class UnexpectedAnswerError extends ChatkeepError {}

/** The service or the network ended an export early. What came before is complete lines. */
export class IncompleteExportError extends ChatkeepError {}

/** The conversation still has the `known_revision`, so the answer has no body. */
export class NotModifiedError extends ChatkeepError {
  readonly revision: number;

  constructor(revision: number) {
    super(`the conversation is still at revision ${revision}`);
    this.revision = revision;
  }
}

/** An error in one field of a request. For a limit also that, the actual size and the service's setting. */
export interface FieldError {
  field: string;
  detail: string;
  limit?: number;
  actual?: number;
  setting?: string;
}

/** A draft that is in the way: its status, its epoch, and the number of its next chunk. */
export interface DraftState {
  id: string;
  status?: string;
  epoch?: number;
  next?: number;
}

/** Problem details, as they are sent. */
export interface Problem {
  type: string;
  title: string;
  detail: string;
  errors: FieldError[];
  found?: string[];
  revision?: number;
  draft?: DraftState;
}

/**
 * The service refused a request: problem details (RFC 9457).
 *
 * - `status`: the HTTP status.
 * - `code`: the kind of problem in one word, such as `not-found`; the end of `type`. Empty if the
 *   answer is not chatkeep's, for example a proxy's.
 * - `type`, `title`, `detail`: as they were sent. `detail` says how to fix it.
 * - `errors`: the wrong fields; `field`, `limit`, `actual` and `setting` are those of the first.
 * - `problem`: all that was sent.
 * - `retryAfter`: seconds to wait, if the service said so.
 */
export class ProblemError extends ChatkeepError {
  readonly code: string;
  readonly type: string;
  readonly title: string;
  readonly detail: string;
  readonly errors: readonly FieldError[];

  constructor(
    readonly problem: Problem,
    readonly status: number,
    readonly retryAfter: number | null,
  ) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.type = problem.type;
    this.code = problem.type.startsWith(URN) ? problem.type.slice(URN.length) : "";
    this.title = problem.title;
    this.detail = problem.detail;
    this.errors = problem.errors;
  }

  get field(): string | undefined {
    return this.errors[0]?.field;
  }

  get limit(): number | undefined {
    return this.errors[0]?.limit;
  }

  get actual(): number | undefined {
    return this.errors[0]?.actual;
  }

  get setting(): string | undefined {
    return this.errors[0]?.setting;
  }
}

/** 422: a field or parameter has a value that the service does not take. */
export class InvalidValueError extends ProblemError {}

/** 422 or 413: longer or more than a limit of the service allows. `limit` is that limit. */
export class LimitExceededError extends ProblemError {}

/** 401: the token or the service key is missing, wrong or expired. */
export class AuthenticationError extends ProblemError {}

/** 403: the caller may not do this, or the user is not provisioned. */
export class ForbiddenError extends ProblemError {}

/** 404: it does not exist, or it is another user's. */
export class NotFoundError extends ProblemError {}

/** 409. A subclass says what conflicts. */
export class ConflictError extends ProblemError {}

/** 409: the id, or the `Idempotency-Key`, is that of something else. */
export class IdTakenError extends ConflictError {}

/** 409: the conversation is on hold, so nothing may be deleted or rewritten. */
export class RetainedError extends ConflictError {}

/** 409: the message is on another branch, or other branches share it. */
export class WrongBranchError extends ConflictError {}

/** 409: the end of the conversation is not the expected one. `found` has the ids there. */
export class SuffixDiffersError extends ConflictError {
  get found(): readonly string[] {
    return this.problem.found ?? [];
  }
}

/** 409: a draft is not as expected. `draft` is how it is. */
export class DraftConflictError extends ConflictError {
  get draft(): DraftState | undefined {
    return this.problem.draft;
  }
}

/** 409: the conversation has another active draft: show it, cancel it, or supersede it. */
export class DraftActiveError extends DraftConflictError {}

/** 409: chunks before these are missing: send those from `draft.next` on. */
export class DraftGapError extends DraftConflictError {}

/** 409: another producer has taken over: stop. */
export class DraftSupersededError extends DraftConflictError {}

/** 409: the draft was cancelled, interrupted or finished: stop. */
export class DraftEndedError extends DraftConflictError {}

/** 410: the cursor of events is too old. Read the history again, and follow from now on. */
export class GoneError extends ProblemError {}

/** 412: the conversation has another revision than expected; `revision` is the current one. */
export class RevisionConflictError extends ProblemError {
  get revision(): number | undefined {
    return this.problem.revision;
  }
}

/** 429, after all attempts: the user exceeds their share. */
export class TooManyRequestsError extends ProblemError {}

/** 503, after all attempts: the service is overloaded, or has no database. */
export class UnavailableError extends ProblemError {}

/** 500 or higher, except 503: a fault of the service or of a proxy. */
export class ServerError extends ProblemError {}

type ProblemClass = new (problem: Problem, status: number, retryAfter: number | null) => ProblemError;

const BY_CODE = new Map<string, ProblemClass>([
  ["invalid-value", InvalidValueError],
  ["limit-exceeded", LimitExceededError],
  ["body-too-large", LimitExceededError],
  ["id-taken", IdTakenError],
  ["retained", RetainedError],
  ["wrong-branch", WrongBranchError],
  ["suffix-differs", SuffixDiffersError],
  ["draft-active", DraftActiveError],
  ["draft-gap", DraftGapError],
  ["draft-superseded", DraftSupersededError],
  ["draft-ended", DraftEndedError],
]);
const BY_STATUS = new Map<number, ProblemClass>([
  [401, AuthenticationError],
  [403, ForbiddenError],
  [404, NotFoundError],
  [409, ConflictError],
  [410, GoneError],
  [412, RevisionConflictError],
  [413, LimitExceededError],
  [422, InvalidValueError],
  [429, TooManyRequestsError],
  [503, UnavailableError],
]);

/** Return the error that an answer of 400 or higher means. */
export function problemOf(status: number, headers: Headers, text: string): ProblemError {
  const problem = readProblem(text);
  const code = problem.type.startsWith(URN) ? problem.type.slice(URN.length) : "";
  const other = status >= 500 ? ServerError : ProblemError;
  const kind = BY_CODE.get(code) ?? BY_STATUS.get(status) ?? other;
  return new kind(problem, status, readRetryAfter(headers));
}

function readProblem(text: string): Problem {
  const problem: Problem = { type: "about:blank", title: "", detail: "", errors: [] };
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return { ...problem, detail: text.slice(0, SHOWN) };
  }
  if (typeof read !== "object" || read === null) return { ...problem, detail: text.slice(0, SHOWN) };
  if (!("error" in read)) return { ...problem, ...read };
  // Below /openai, errors have another form.
  const error = read.error as { message?: string; code?: string | null; param?: string | null };
  problem.type = URN + (error.code ?? "").replaceAll("_", "-");
  problem.detail = error.message ?? "";
  if (error.param) problem.errors = [{ field: error.param, detail: problem.detail }];
  return problem;
}

/** Return the seconds of `Retry-After`; null without it, or if it is a date. */
export function readRetryAfter(headers: Headers): number | null {
  const text = headers.get("retry-after") ?? "";
  return /^\d+$/.test(text) ? Number(text) : null;
}
