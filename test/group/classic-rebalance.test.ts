// Random stories of one group: what must hold in each of them, whoever joins, leaves, sleeps or restarts.
import fc from "fast-check";
import { expect, it } from "vitest";
import { GroupWorld, moves } from "./group-world.ts";

const numRuns = Number(process.env["PROPERTY_RUNS"] ?? 1_000);

it("assigns no partition twice, answers every request once, ignores old timers and recovers what it had", () => {
  const totals = new Map<string, number>();
  fc.assert(
    fc.property(moves, (story) => {
      const world = new GroupWorld();
      for (const move of story) world.move(move);
      world.end();
      for (const [name, count] of Object.entries(world.counts)) totals.set(name, (totals.get(name) ?? 0) + count);
    }),
    { numRuns },
  );
  // Stories in which nothing happens prove nothing.
  for (const [name, count] of totals) expect(count, name).toBeGreaterThan(0);
});
