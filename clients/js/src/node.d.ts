// What `testing.ts` needs of Node, so that this package needs no types of it.

declare module "node:child_process" {
  export interface Readable {
    setEncoding(name: "utf8"): void;
    on(event: "data", call: (text: string) => void): void;
  }
  export interface Child {
    stdout: Readable;
    stderr: Readable;
    exitCode: number | null;
    signalCode: string | null;
    kill(signal: "SIGKILL"): boolean;
    once(event: "error", call: (error: Error) => void): void;
    once(event: "exit", call: () => void): void;
    unref(): void;
  }
  export function spawn(
    command: string,
    parameters: readonly string[],
    options: { env: Record<string, string | undefined>; stdio: ["ignore", "pipe", "pipe"] },
  ): Child;
}

declare module "node:process" {
  export const env: Record<string, string | undefined>;
}
