import { expect, it } from "vitest";
import { ByteBudget } from "../../src/host/byte-budget.ts";
import { ReadTurns } from "../../src/kafka/read-turns.ts";
import { SimClock } from "../sim/sim-clock.ts";

const signal = new AbortController().signal;
const KIB = 1024;

it("lets nobody on when the room that came is taken again before anybody could have it", async () => {
  const clock = new SimClock({ seed: "turns" });
  const budget = new ByteBudget(1024 * KIB);
  const turns = new ReadTurns(budget, clock);
  budget.force(1024 * KIB);
  const done: number[] = [];
  for (let index = 0; index < 20; index++) void turns.wait({ index }, signal).then(() => done.push(index));
  budget.give(512 * KIB);
  // As the oldest frame may: its bytes are counted whatever the budget says.
  budget.force(1024 * KIB);
  await clock.advance(100);
  expect(done).toEqual([]);
  budget.give(1024 * KIB);
  await clock.advance(1);
  expect(done).toEqual([0]);
});
