// A service in memory, for tests in Node. It needs chatkeep itself to be installed.

import { type Child, spawn } from "node:child_process";
import { env } from "node:process";
import { Chatkeep, type Options } from "./client.js";
import { ChatkeepError } from "./errors.js";
import { sleep } from "./retries.js";

const WAIT = 0.05;

/** The service could not be started, or was not ready in time. */
export class ServiceNotStartedError extends ChatkeepError {}

/** Options of a client whose credential is known. */
export type ServiceOptions = Omit<Options, "token" | "serviceKey" | "user">;

/** A service that keeps nothing. Its `serviceKey` acts for any user. Stop it at the end. */
export interface MemoryService {
  url: string;
  serviceKey: string;
  client(user?: string, options?: ServiceOptions): Chatkeep;
  stop(): Promise<void>;
}

export interface MemoryServiceOptions {
  /** Where the service is installed, such as `["/opt/chatkeep/bin/chatkeep"]`. */
  command?: readonly string[];
  /** Its environment variables, such as `{ CHATKEEP_MAX_PAGE: "10" }`. */
  settings?: Record<string, string>;
  /** Seconds. */
  readyWithin?: number;
}

/**
 * Run `chatkeep serve --memory` on a free port, in a process, until `stop`.
 *
 * The command is looked for in the PATH. Other variables of the environment that begin with
 * `CHATKEEP_` or `DATABASE_URL` are not passed on. Throws `ServiceNotStartedError`.
 */
export async function memoryService(options: MemoryServiceOptions = {}): Promise<MemoryService> {
  const { command = ["chatkeep"], settings = {}, readyWithin = 60 } = options;
  const serviceKey = `of-this-test-${crypto.randomUUID()}`;
  const others = Object.entries(env).filter(([name]) => !/^(CHATKEEP_|DATABASE_URL)/.test(name));
  const [program = "chatkeep", ...first] = command;
  const child = spawn(program, [...first, "serve", "--memory", "--port", "0"], {
    env: { ...Object.fromEntries(others), CHATKEEP_SERVICE_KEYS: serviceKey, ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stop = stopper(child);
  try {
    const url = await readyUrl(child, readyWithin);
    const client = (user?: string, more: ServiceOptions = {}): Chatkeep =>
      new Chatkeep(url, { serviceKey, ...(user !== undefined && { user }), ...more });
    return { url, serviceKey, client, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function stopper(child: Child): () => Promise<void> {
  let ended = false;
  const end = new Promise<void>((resolve) => {
    const done = (): void => {
      ended = true;
      resolve();
    };
    child.once("exit", done);
    child.once("error", done);
  });
  return async () => {
    if (!ended) child.kill("SIGKILL");
    await end;
  };
}

async function readyUrl(child: Child, seconds: number): Promise<string> {
  let printed = "";
  let failed: Error | undefined;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    // Read to the end: a pipe that is not read would stop the service when it is full.
    stream.on("data", (text) => (printed = printed.length < 100_000 ? printed + text : printed));
  }
  child.once("error", (error) => (failed = error));
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const found = /http:\/\/[^,\s]+(?=,)/.exec(printed);
    if (found && (await answers(`${found[0]}/health/ready`))) return found[0];
    if (failed) {
      const text = "the service is not installed here: install the package `chatkeep`";
      throw new ServiceNotStartedError(`${text}, or give its \`command\``, { cause: failed });
    }
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new ServiceNotStartedError(`the service ended: ${printed}`);
    }
    if (performance.now() > end) {
      throw new ServiceNotStartedError(`the service was not ready in time: ${printed}`);
    }
    await sleep(WAIT);
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}
