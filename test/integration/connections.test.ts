// Connections on real sockets, under a clock that the test moves: how many there may be, how fast they may come, and how
// long they may be silent.
import { afterEach, describe, expect, it } from "vitest";
import type { KafkaSettings } from "../../src/kafka/kafka-settings.ts";
import { ManualClock } from "../kafka/manual-clock.ts";
import { rawFrame } from "../kafka/raw-client.ts";
import { announcement, type RawSocket } from "./raw-socket.ts";
import { SocketWorld, turn } from "./socket-world.ts";

/** As in production: the worlds of the other tests let connections come at any pace. */
const defaultPace = { acceptsPerSecondMax: 500, acceptsPerSecondPerAddressMax: 50 };

let clock: ManualClock;
let world: SocketWorld;

/** Starts a broker, moving its clock until it serves. */
async function start(kafka: Partial<KafkaSettings> = {}): Promise<void> {
  clock = new ManualClock();
  let isStarted = false;
  const starting = SocketWorld.start({ kafka, clock }).finally(() => {
    isStarted = true;
  });
  while (!isStarted) await clock.advance(1);
  world = await starting;
}

afterEach(async () => {
  expect(world.endedCount("bug")).toBe(0);
  let isStopped = false;
  const stopping = world.stop().finally(() => {
    isStopped = true;
  });
  while (!isStopped) await clock.advance(10);
  await stopping;
});

/** Whether the broker serves a connection. */
async function isServed(socket: RawSocket): Promise<boolean> {
  const next = socket.frames.length;
  void socket.send(rawFrame(18, 0, 1));
  return (await socket.outcome(next)) === "answered";
}

/** Connects `count` times and waits until the broker has seen all of them. */
async function dialMany(count: number, localAddress?: string): Promise<RawSocket[]> {
  const seen = world.gauge("kafscale_connections") + world.endedCount("limit") + count;
  const sockets = [];
  for (let index = 0; index < count; index++) sockets.push(await world.dial(localAddress));
  await world.until(() => world.gauge("kafscale_connections") + world.endedCount("limit") >= seen);
  return sockets;
}

describe("the number of connections", () => {
  it("in all is bounded: one more is closed at once, and let in when another has gone", async () => {
    await start({ connectionsMax: 3 });
    const sockets = [...(await dialMany(2)), ...(await dialMany(1, "127.0.0.2"))];
    const late = await world.dial("127.0.0.3");
    await late.closed();
    expect(world.endedCount("limit")).toBe(1);
    expect(await Promise.all(sockets.map(isServed))).toEqual([true, true, true]);
    sockets[0]?.destroy();
    await world.until(() => world.gauge("kafscale_connections") === 2);
    expect(await isServed(await world.dial("127.0.0.3"))).toBe(true);
  });

  it("of one address is 1,000: one more is closed at once, and other addresses are served", async () => {
    await start();
    const sockets = await dialMany(1_000);
    const late = await world.dial();
    await late.closed();
    expect(world.endedCount("limit")).toBe(1);
    expect(await isServed(await world.dial("127.0.0.2"))).toBe(true);
    expect(await isServed(sockets[0] as RawSocket)).toBe(true);
    expect(await isServed(sockets[999] as RawSocket)).toBe(true);
  });
});

describe("the pace of connections", () => {
  it("of one address is 50 a second: further ones are closed a second later, others are served", async () => {
    await start(defaultPace);
    const sockets = await dialMany(50);
    const [late] = (await dialMany(1)) as [RawSocket];
    const other = await world.dial("127.0.0.2");
    expect(await isServed(other)).toBe(true);
    expect(await Promise.all(sockets.map(isServed))).toEqual(sockets.map(() => true));
    void late.send(rawFrame(18, 0, 1));
    await clock.advance(999);
    for (let round = 0; round < 5; round++) await turn();
    expect([late.isClosed, late.frames.length]).toEqual([false, 0]);
    await clock.advance(1);
    await late.closed();
    expect([late.frames.length, world.endedCount("limit")]).toEqual([0, 1]);
    expect(await isServed(await world.dial())).toBe(true);
  });

  it("of all together is 500 a second", async () => {
    await start(defaultPace);
    const sockets = [];
    for (let host = 2; host < 12; host++) sockets.push(...(await dialMany(50, `127.0.0.${host}`)));
    const [late] = (await dialMany(1, "127.0.0.20")) as [RawSocket];
    expect(await Promise.all(sockets.map(isServed))).toEqual(sockets.map(() => true));
    await clock.advance(1_000);
    await late.closed();
    expect(late.frames.length).toBe(0);
    expect(await isServed(await world.dial("127.0.0.20"))).toBe(true);
  });
});

describe("a silent connection", () => {
  it("is closed after 10 min, counted from its last answer", async () => {
    await start();
    const [silent, asking] = (await dialMany(2)) as [RawSocket, RawSocket];
    await clock.advance(599_000);
    expect(await isServed(asking)).toBe(true);
    await clock.advance(999);
    expect([world.endedCount("idle"), silent.isClosed]).toEqual([0, false]);
    await clock.advance(1);
    await silent.closed();
    expect([world.endedCount("idle"), asking.isClosed]).toEqual([1, false]);
    await clock.advance(599_000);
    await asking.closed();
    expect(world.endedCount("idle")).toBe(2);
  });

  it("in the middle of a frame is closed after 30 s without a byte", async () => {
    await start();
    const [half, trickling] = (await dialMany(2)) as [RawSocket, RawSocket];
    const budgetBytesUsed = () => world.gauge("kafscale_request_budget_used_bytes");
    await half.send(announcement(1_000), new Uint8Array(500));
    await trickling.send(announcement(1_000));
    await world.until(() => budgetBytesUsed() === 508);
    await clock.advance(29_999);
    await trickling.send(new Uint8Array(1));
    await world.until(() => budgetBytesUsed() === 509);
    expect(half.isClosed).toBe(false);
    await clock.advance(1);
    await half.closed();
    expect([world.endedCount("partial frame"), trickling.isClosed]).toEqual([1, false]);
    await clock.advance(29_999);
    await trickling.closed();
    expect(world.endedCount("partial frame")).toBe(2);
    expect(budgetBytesUsed()).toBe(0);
  });

  it("that takes none of an answer is closed after a minute, and its bytes are free", async () => {
    await start();
    const [stalled] = (await dialMany(1)) as [RawSocket];
    stalled.stopReading();
    // Answers of a few hundred bytes each, until the kernel's buffers are full and the broker waits for them.
    const frames = Buffer.concat(Array.from({ length: 1_000 }, (_, id) => rawFrame(18, 0, id)));
    for (let quietRounds = 0; quietRounds < 3; ) {
      const before = world.requestCount("ApiVersions");
      void stalled.send(frames);
      for (let turns = 0; turns < 50; turns++) await turn();
      quietRounds = world.requestCount("ApiVersions") === before ? quietRounds + 1 : 0;
    }
    expect(world.gauge("kafscale_request_budget_used_bytes")).toBeGreaterThan(0);
    await clock.advance(59_000);
    expect(world.endedCount("stalled")).toBe(0);
    // The kernel may still have taken a little after the look above, and the minute counts from then.
    for (let minute = 0; minute < 3 && world.endedCount("stalled") === 0; minute++) await clock.advance(60_000);
    expect(world.endedCount("stalled")).toBe(1);
    expect(world.gauge("kafscale_request_budget_used_bytes")).toBe(0);
  });
});
