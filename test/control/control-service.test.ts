// What the answering side bounds by itself, whoever calls.
import { expect, it } from "vitest";
import { IMAGE_WAIT_MS_MAX } from "../../src/control/control-service.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimRandom } from "../sim/sim-random.ts";
import { PeerBroker } from "./peers-contract.ts";

it("ends a wait after its longest time, and leaves no timer behind", async () => {
  const clock = new SimClock();
  const broker = new PeerBroker(clock, new SimRandom("service"));
  await clock.complete(broker.start());
  const idle = clock.pendingCount;
  const { signal } = new AbortController();
  const asked = { process: PeerBroker.process, collection: "sessions", revision: 99 } as const;
  const startedMs = clock.monotonicMs();
  await expect(clock.complete(broker.service.waitForImage(asked, { signal }))).rejects.toThrow(
    "revision 99 of sessions",
  );
  expect(clock.monotonicMs() - startedMs).toBeCloseTo(IMAGE_WAIT_MS_MAX);
  expect(clock.pendingCount).toBe(idle);
});
