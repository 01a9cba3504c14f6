// Starts external programs for the end-to-end tests. Every one has an end: a time limit, a `stop`, or the test's own exit.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { eventually } from "./wait.ts";

/** How a program that ran to its end ended. */
export interface ProgramResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a program is started. */
export interface ProgramOptions {
  readonly cwd?: string;
  /** Added to this process's own environment; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Whether the program gets a process group of its own, which `stop` and `kill` then reach as a whole. */
  readonly hasOwnGroup?: boolean;
}

const living = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

/** A program that runs beside the test. */
export class RunningProgram {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #hasOwnGroup: boolean;
  readonly #watchers = new Set<() => void>();
  #stdout = "";
  #stderr = "";
  #hasEnded = false;

  constructor(program: string, args: readonly string[], options: ProgramOptions = {}) {
    this.name = `${program} ${args.join(" ")}`;
    this.#hasOwnGroup = options.hasOwnGroup ?? false;
    const env = { ...process.env, ...options.env };
    this.#child = spawn(program, args, { cwd: options.cwd, env, detached: this.#hasOwnGroup });
    living.add(this.#child);
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => this.#add("stdout", text));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => this.#add("stderr", text));
    this.#child.stdin?.on("error", () => {
      // The program ended before it read everything: its exit code and its text tell why.
    });
    this.#child.on("error", (error) => this.#add("stderr", `${error.message}\n`));
    this.#child.on("close", () => {
      this.#hasEnded = true;
      living.delete(this.#child);
      this.#wake();
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Complete lines of standard output so far. */
  get lines(): readonly string[] {
    return this.#stdout.split("\n").slice(0, -1);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Calls `listener` after each piece of output and after the end. */
  onOutput(listener: () => void): void {
    this.#watchers.add(listener);
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  /** Waits until `isMet` holds, looked at after each piece of output; fails when the program ends or time runs out. */
  async waitUntil(isMet: () => boolean, what: string, timeoutMs = 60_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!isMet()) {
      const remainingMs = deadline - Date.now();
      if (this.#hasEnded || remainingMs <= 0) {
        throw new Error(`${what}: ${this.#hasEnded ? "ended" : `not within ${timeoutMs} ms`}\n${this.describe()}`);
      }
      await this.#nextOutput(remainingMs);
    }
  }

  /** Waits for the end; kills the program and fails when it has not come in time. */
  async waitForEnd(timeoutMs = 60_000): Promise<ProgramResult> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.kill();
    }, timeoutMs);
    if (!this.#hasEnded) await once(this.#child, "close");
    clearTimeout(timer);
    if (isLate) throw new Error(`did not end within ${timeoutMs} ms and was killed\n${this.describe()}`);
    return { exitCode: this.#child.exitCode, stdout: this.#stdout, stderr: this.#stderr };
  }

  /** Asks the program to end, and waits for that. */
  async stop(signal: NodeJS.Signals = "SIGTERM", timeoutMs = 30_000): Promise<ProgramResult> {
    this.signal(signal);
    return await this.waitForEnd(timeoutMs);
  }

  /** Sends a signal, to the whole process group if the program has its own. */
  signal(signal: NodeJS.Signals): void {
    if (this.#hasEnded || this.#child.pid === undefined) return;
    if (!this.#hasOwnGroup) {
      this.#child.kill(signal);
      return;
    }
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // The group has ended in between, which is what was asked for.
    }
  }

  kill(): void {
    this.signal("SIGKILL");
  }

  /** Stops the program's process until SIGCONT, and waits until each of its threads stands: they may answer until then. */
  async freeze(): Promise<void> {
    this.signal("SIGSTOP");
    const states = () =>
      readdirSync(`/proc/${this.pid}/task`).map((thread) => stateOf(`/proc/${this.pid}/task/${thread}/stat`));
    await eventually(
      () => states().every((state) => state === "T"),
      () => `${this.name} stands still: ${states().join("")}`,
    );
  }

  /** The command and the ends of its output, for the message of a failed test. */
  describe(): string {
    return `command: ${this.name}\nstdout: ${this.#stdout.slice(-3000)}\nstderr: ${this.#stderr.slice(-3000)}`;
  }

  #add(stream: "stdout" | "stderr", text: string): void {
    if (stream === "stdout") this.#stdout += text;
    else this.#stderr += text;
    this.#wake();
  }

  #wake(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  #nextOutput(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#watchers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#watchers.add(done);
    });
  }
}

/** Runs a program to its end and fails when it does not end well or in time. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions & { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<ProgramResult> {
  const running = new RunningProgram(program, args, options);
  if (options.input !== undefined) running.write(options.input);
  running.endInput();
  const result = await running.waitForEnd(options.timeoutMs ?? 60_000);
  if (result.exitCode !== 0) throw new Error(`ended with ${result.exitCode}\n${running.describe()}`);
  return result;
}

/** State of a thread as the kernel names it; it stands behind the name, which may hold anything. */
function stateOf(statFile: string): string | undefined {
  return readFileSync(statFile, "utf8").split(") ").at(-1)?.[0];
}
