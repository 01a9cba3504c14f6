// The wall clock of one process, wrong by as much as a test says, and changed while it runs. By libfaketime, so that the
// process does not know; its monotonic clock stays right, as in a machine whose date was set wrong.
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repositoryRoot } from "./tools.ts";

const libraries = join(repositoryRoot, ".tools", "faketime", "root", "usr", "lib");

/** A clock for processes that are started with {@link env}. */
export class ShiftedClock {
  readonly #folder = mkdtempSync(join(tmpdir(), "kafscale-clock-"));

  constructor() {
    this.shift(0);
  }

  /** What a process is started with. */
  get env(): Readonly<Record<string, string>> {
    const [machine = ""] = readdirSync(libraries);
    return {
      LD_PRELOAD: join(libraries, machine, "faketime", "libfaketimeMT.so.1"),
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      FAKETIME_TIMESTAMP_FILE: join(this.#folder, "shift"),
      FAKETIME_CACHE_DURATION: "1",
    };
  }

  /** Sets the clock wrong by this many seconds; processes see it within two seconds. */
  shift(seconds: number): void {
    const next = join(this.#folder, "next");
    writeFileSync(next, `${seconds < 0 ? "" : "+"}${seconds}\n`);
    renameSync(next, join(this.#folder, "shift"));
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
