// Runs one external program for the scripts of this folder: output is kept and shown only when the program fails.
import { spawnSync } from "node:child_process";

/** What a program did. */
export interface CommandResult {
  readonly isOk: boolean;
  /** Standard output and standard error, in the order stdout, stderr. */
  readonly output: string;
}

/** Where and for how long a program runs. */
export interface CommandOptions {
  readonly cwd?: string;
  readonly timeoutMs?: number;
  /** Added to this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `program` to its end. A program that is missing or out of time is a failed one. */
export function runCommand(program: string, args: readonly string[], options: CommandOptions = {}): CommandResult {
  const result = spawnSync(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs ?? 600_000,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const problem = result.error ? `${result.error.message}\n` : "";
  return { isOk: result.status === 0, output: `${result.stdout ?? ""}${result.stderr ?? ""}${problem}` };
}

/** Runs `program`, again after a failure, up to three times: for downloads only. */
export function runWithRetries(program: string, args: readonly string[], options: CommandOptions = {}): CommandResult {
  let result = runCommand(program, args, options);
  for (let attempt = 2; attempt <= 3 && !result.isOk; attempt++) {
    process.stderr.write(`${program} failed, attempt ${attempt} of 3 follows\n`);
    result = runCommand(program, args, options);
  }
  return result;
}

/** Whether `program` can be started at all. */
export function hasProgram(program: string, versionFlag: string): boolean {
  return runCommand(program, [versionFlag], { timeoutMs: 60_000 }).isOk;
}
