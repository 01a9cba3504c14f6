// Two hundred processes that start at once on one folder. Apart from test/host, because it takes a while.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { Contender, writeContenderProgram } from "../host/lock-contenders.ts";

it("lets exactly one of 200 processes win that start at once, and another after it was killed", async () => {
  const [programFolder, folder] = [await writeContenderProgram(), await mkdtemp(join(tmpdir(), "folder-lock-"))];
  const contenders = Array.from({ length: 200 }, () => new Contender(programFolder));
  onTestFinished(async () => {
    await Promise.all(contenders.map((one) => one.kill()));
    await Promise.all([programFolder, folder].map((path) => rm(path, { recursive: true })));
  });
  const outcomes = await Promise.all(contenders.map((one) => one.tell(folder)));
  expect(outcomes.filter((outcome) => outcome === "won")).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome === "refused")).toHaveLength(199);
  const winner = outcomes.indexOf("won");
  await contenders[winner]?.kill();
  const again = await Promise.all(contenders.filter((_, index) => index !== winner).map((one) => one.tell(folder)));
  expect(again.filter((outcome) => outcome === "won")).toHaveLength(1);
});
