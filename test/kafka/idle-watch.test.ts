// The deadlines of a connection by themselves: how little they cost, and whom they blame.
import { beforeEach, describe, expect, it } from "vitest";
import { ConnectionEndError } from "../../src/kafka/connection-end.ts";
import { IdleWatch } from "../../src/kafka/idle-watch.ts";
import { defaultKafkaSettings } from "../../src/kafka/kafka-settings.ts";
import { ManualClock } from "./manual-clock.ts";

let clock: ManualClock;
let watch: IdleWatch;
let ends: string[];

beforeEach(() => {
  clock = new ManualClock();
  ends = [];
  watch = new IdleWatch(clock, defaultKafkaSettings, (error) => ends.push(error.reason));
  watch.start();
});

describe("the watch of a connection", () => {
  it("has one timer however many frames come and go", async () => {
    for (let round = 0; round < 1_000; round++) {
      watch.reading(round % 2 === 0);
      watch.notReading();
      watch.inFlight(1);
      watch.writing();
      watch.notWriting();
      watch.inFlight(0);
    }
    expect(clock.timerCount).toBe(1);
    await clock.advance(100_000);
    expect(ends).toEqual([]);
    expect(clock.timerCount).toBe(1);
    watch.stop();
    expect(clock.timerCount).toBe(0);
  });

  it("blames a client neither for requests under way nor for not being read", async () => {
    watch.reading(false);
    watch.inFlight(1);
    await clock.advance(10_000_000);
    watch.notReading();
    watch.inFlight(0);
    await clock.advance(10_000_000);
    expect(ends).toEqual([]);
  });

  it("ends with the error that was decided when the last answers take too long", async () => {
    watch.inFlight(1);
    watch.ending(new ConnectionEndError("frame size", "a frame of -1 bytes"));
    await clock.advance(59_999);
    expect(ends).toEqual([]);
    await clock.advance(1);
    expect(ends).toEqual(["frame size"]);
  });
});
