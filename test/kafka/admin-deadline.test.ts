// The time that changes of the cluster may take.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { withAdminDeadline } from "../../src/kafka/admin-deadline.ts";
import type { BrokerServices, RequestContext } from "../../src/kafka/api-handler.ts";
import { defaultKafkaSettings } from "../../src/kafka/kafka-settings.ts";
import { ManualClock } from "./manual-clock.ts";

async function timeOf(timeoutMs: number | undefined): Promise<number> {
  const clock = new ManualClock();
  const startMs = clock.monotonicMs();
  // What is used of the two: the clock, the settings and the signal.
  const broker = { clock, settings: defaultKafkaSettings } as unknown as BrokerServices;
  const context = { signal: new AbortController().signal } as unknown as RequestContext;
  const change = { broker, context, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  let endMs = Number.NaN;
  const never = withAdminDeadline(change, () => new Promise<never>(() => {})).catch((error: unknown) => {
    endMs = clock.monotonicMs();
    expect(error).toMatchObject({ code: ErrorCode.REQUEST_TIMED_OUT });
  });
  for (let step = 0; step < 50 && Number.isNaN(endMs); step++) await clock.advance(1_000);
  await never;
  return endMs - startMs;
}

describe("an admin request", () => {
  it("takes the client's time, but never longer than the broker's", async () => {
    expect(await timeOf(5_000)).toBe(5_000);
    expect(await timeOf(3_600_000)).toBe(30_000);
    expect(await timeOf(undefined)).toBe(30_000);
  });

  it("is begun and answered as timed out when the client gives it no time", async () => {
    expect(await timeOf(0)).toBe(0);
    expect(await timeOf(-1)).toBe(0);
  });
});
