// How fast connections may come.
import { describe, expect, it } from "vitest";
import { AcceptRate } from "../../src/kafka/accept-rate.ts";
import { defaultKafkaSettings } from "../../src/kafka/kafka-settings.ts";
import { ManualClock } from "./manual-clock.ts";

describe("the pace of accepts", () => {
  it("admits as many per second as allowed, in total and per address, at the defaults of production", async () => {
    const clock = new ManualClock();
    const rate = new AcceptRate(clock, defaultKafkaSettings);
    const admitted = (host: string, count: number) =>
      Array.from({ length: count }, () => rate.admit(host)).filter((isAdmitted) => isAdmitted).length;
    expect(admitted("192.0.2.1", 60)).toBe(50);
    let total = 50;
    for (let host = 2; host < 20; host++) total += admitted(`192.0.2.${host}`, 49);
    expect(total).toBe(500);
    await clock.advance(999);
    expect(rate.admit("192.0.2.99")).toBe(false);
    await clock.advance(1);
    expect(admitted("192.0.2.1", 60)).toBe(50);
  });
});
