// Waiting for something that another process does: looked at often, never longer than its limit.
import { setTimeout as sleep } from "node:timers/promises";

/** Resolves when `isMet` holds; fails with `describe` when it does not in `timeoutMs`. */
export async function eventually(
  isMet: () => boolean | Promise<boolean>,
  describe: () => string,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await isMet())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${describe()}`);
    await sleep(20);
  }
}
