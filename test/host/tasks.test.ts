// Background work: joined by its owner, its failures told once, its signal open to any number of waits.
import { expect, it } from "vitest";
import { longLivedController } from "../../src/host/abort.ts";
import { silentLog } from "../../src/host/log.ts";
import { StoppedError, TaskGroup } from "../../src/host/tasks.ts";

it("ends every task and waits for the last one", async () => {
  const tasks = new TaskGroup(silentLog, () => {});
  let endedCount = 0;
  for (let index = 0; index < 3; index++) {
    tasks.spawn(`task ${index}`, async (signal) => {
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      endedCount++;
    });
  }
  expect(tasks.runningCount).toBe(3);
  await tasks.stop();
  expect([endedCount, tasks.runningCount]).toEqual([3, 0]);
  expect(tasks.signal.reason).toBeInstanceOf(StoppedError);
});

it("tells its owner of a failure, once, and not of those that the stop causes", async () => {
  const failures: string[] = [];
  const tasks = new TaskGroup(silentLog, (name, error) => failures.push(`${name}: ${String(error)}`));
  tasks.spawn("bad", () => Promise.reject(new Error("broke")));
  tasks.spawn(
    "waiting",
    (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      }),
  );
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
  await tasks.stop();
  expect(failures).toEqual(["bad: Error: broke"]);
});

it("lets many waits listen to one signal without a warning", () => {
  const warnings: unknown[] = [];
  const note = (warning: unknown) => warnings.push(warning);
  process.on("warning", note);
  const { signal } = longLivedController();
  for (let index = 0; index < 100; index++) signal.addEventListener("abort", () => {}, { once: true });
  process.off("warning", note);
  expect(warnings).toEqual([]);
});

it("gives a silent log children that are silent too", () => {
  expect(silentLog.child({ session: 1 })).toBe(silentLog);
});
