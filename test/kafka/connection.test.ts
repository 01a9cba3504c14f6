// One connection over pipes in memory with hand-made handlers: order, overlap, bounds, deadlines and ends.
import { beforeEach, describe, expect, it } from "vitest";
import { ByteBudget } from "../../src/host/byte-budget.ts";
import { silentLog } from "../../src/host/log.ts";
import type { Answer } from "../../src/kafka/answer-queue.ts";
import { ClientConnection, type Peer } from "../../src/kafka/connection.ts";
import { ConnectionEndError, type EndReason } from "../../src/kafka/connection-end.ts";
import { FrameSplitter } from "../../src/kafka/frame.ts";
import { defaultKafkaSettings, type KafkaSettings } from "../../src/kafka/kafka-settings.ts";
import { ReadTurns } from "../../src/kafka/read-turns.ts";
import { ManualClock, quiet } from "./manual-clock.ts";
import { connectionPair, type MemoryConnection } from "./memory-transport.ts";

/** A request that reached its handler. */
interface Started {
  readonly label: number;
  readonly bytes: number;
  readonly peer: Peer;
  answer(bytes?: number): void;
  answerNothing(): void;
  fail(error: unknown): void;
}

function frame(label: number, bodyBytes = 8): Uint8Array {
  const bytes = new Uint8Array(4 + bodyBytes).fill(label & 0xff);
  new DataView(bytes.buffer).setInt32(0, bodyBytes);
  new DataView(bytes.buffer).setInt32(4, label);
  return bytes;
}

function answerOf(label: number, bodyBytes: number): Answer {
  const bytes = frame(label, bodyBytes);
  return { parts: [bytes.subarray(0, 5), bytes.subarray(5)], bytes: bytes.length };
}

function labelOf(body: Uint8Array): number {
  return new DataView(body.buffer, body.byteOffset).getInt32(0);
}

/** Reads answers as a client does. */
class ClientReader {
  readonly labels: number[] = [];
  bytes = 0;
  isEnded = false;
  /** Chunks it still takes before it waits for {@link allow}. */
  #allowance = Number.POSITIVE_INFINITY;
  #resume: (() => void) | undefined;

  constructor(connection: MemoryConnection) {
    void this.#read(connection);
  }

  allow(chunkCount: number): void {
    this.#allowance = chunkCount;
    this.#resume?.();
  }

  async #read(connection: MemoryConnection): Promise<void> {
    const splitter = new FrameSplitter(1 << 30);
    try {
      for await (const chunk of connection.chunks()) {
        this.bytes += chunk.length;
        for (const body of splitter.split(chunk)) this.labels.push(labelOf(body));
        this.#allowance -= 1;
        while (this.#allowance <= 0) await new Promise<void>((resolve) => (this.#resume = resolve));
      }
    } catch {
      // A broken connection ends the reading like a closed one.
    }
    this.isEnded = true;
  }
}

/** What one read brings at most, and how long a connection that may read is waited for: see read-turns.ts. */
const READ_BYTES = 128 * 1024;
const TURN_MS = 2;

class World {
  readonly clock = new ManualClock();
  readonly started: Started[] = [];
  readonly ends: EndReason[] = [];
  readonly bugs: unknown[] = [];
  /** Lines logged as errors. */
  readonly errorLines: string[] = [];
  readonly budget: ByteBudget;
  readonly turns: ReadTurns;
  readonly settings: KafkaSettings;
  isImmediate = false;

  constructor(settings: Partial<KafkaSettings> = {}, budgetBytes = 1 << 30) {
    this.settings = { ...defaultKafkaSettings, ...settings };
    this.budget = new ByteBudget(budgetBytes);
    this.turns = new ReadTurns(this.budget, this.clock);
  }

  open(options: Parameters<typeof connectionPair>[0] = {}) {
    const { client, server } = connectionPair(options);
    const connection = new ClientConnection(server, {
      clock: this.clock,
      log: { ...silentLog, error: (message) => this.errorLines.push(message) },
      settings: this.settings,
      budget: this.budget,
      turns: this.turns,
      start: (body, peer) => this.#start(body, peer),
      ended: (reason) => this.ends.push(reason),
      onBug: (error) => this.bugs.push(error),
    });
    const done = connection.run();
    return { client, connection, done, reader: new ClientReader(client) };
  }

  #start(body: Uint8Array, peer: Peer): Promise<Answer | null> {
    return new Promise((resolve, reject) => {
      const label = labelOf(body);
      const answer = (bytes = 8) => resolve(answerOf(label, bytes));
      this.started.push({
        label,
        bytes: body.length,
        peer,
        answer,
        answerNothing: () => resolve(null),
        fail: reject,
      });
      if (this.isImmediate) answer();
    });
  }

  get startedLabels(): number[] {
    return this.started.map((request) => request.label);
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

describe("order", () => {
  it("starts pipelined requests in arrival order without waiting for the first answer", async () => {
    const { client } = world.open();
    await client.write([frame(1), frame(2), frame(3)]);
    await quiet();
    expect(world.startedLabels).toEqual([1, 2, 3]);
  });

  it("sends answers in request order whatever the order in which they become ready", async () => {
    const { client, reader } = world.open();
    await client.write([frame(1), frame(2), frame(3), frame(4)]);
    await quiet();
    for (const index of [3, 1, 2]) world.started[index]?.answer();
    await quiet();
    expect(reader.labels).toEqual([]);
    world.started[0]?.answer();
    await quiet();
    expect(reader.labels).toEqual([1, 2, 3, 4]);
  });

  it("sends nothing for a request without an answer and does not hold up the next", async () => {
    const { client, reader } = world.open();
    await client.write([frame(1), frame(2)]);
    await quiet();
    world.started[0]?.answerNothing();
    world.started[1]?.answer();
    await quiet();
    expect(reader.labels).toEqual([2]);
  });

  it("starts what comes behind a parked request", async () => {
    const { client, reader } = world.open();
    await client.write([frame(1)]);
    await quiet();
    await client.write([frame(2)]);
    await quiet();
    expect(world.startedLabels).toEqual([1, 2]);
    expect(reader.labels).toEqual([]);
  });

  it("answers what became ready while an answer was being written", async () => {
    const { client, reader } = world.open({ capacity: 100 });
    await client.write([frame(1), frame(2), frame(3)]);
    await quiet();
    world.started[0]?.answer(5_000);
    world.started[1]?.answer(5_000);
    await quiet();
    world.started[2]?.answer(5_000);
    await quiet();
    expect(reader.labels).toEqual([1, 2, 3]);
  });

  it("keeps the bytes of a request intact after its chunk was overwritten", async () => {
    const { client, reader } = world.open({ chunkBytesMax: 7 });
    await client.write([frame(0x01020304, 500), frame(0x05060708, 500)]);
    await quiet();
    for (const request of world.started) request.answer();
    await quiet();
    expect(reader.labels).toEqual([0x01020304, 0x05060708]);
  });
});

describe("bounds", () => {
  it("starts no more than the allowed number of requests and goes on when one is answered", async () => {
    world = new World({ requestsInFlightMax: 3 });
    const { client } = world.open();
    await client.write(Array.from({ length: 10 }, (_, index) => frame(index)));
    await quiet();
    expect(world.startedLabels).toEqual([0, 1, 2]);
    world.started[0]?.answer();
    await quiet();
    expect(world.startedLabels).toEqual([0, 1, 2, 3]);
  });

  it("lets one request through however large, and no second beside it", async () => {
    world = new World({ connectionBytesMax: 1_000 });
    const { client } = world.open();
    await client.write([frame(1, 50_000), frame(2, 8)]);
    await quiet();
    expect(world.startedLabels).toEqual([1]);
    world.started[0]?.answer();
    await quiet();
    expect(world.startedLabels).toEqual([1, 2]);
  });

  it("starts no further request while a slow reader has too many bytes of answers outstanding", async () => {
    world = new World({ connectionBytesMax: 10_000 });
    const { client, reader } = world.open({ capacity: 100 });
    reader.allow(1);
    await client.write([frame(1), frame(2), frame(3)]);
    await quiet();
    world.started[0]?.answer(20_000);
    world.started[1]?.answer(20_000);
    world.started[2]?.answer(8);
    await quiet();
    await client.write([frame(4)]);
    await quiet();
    expect(world.startedLabels).toEqual([1, 2, 3]);
    reader.allow(1_000);
    await quiet();
    expect(world.startedLabels).toEqual([1, 2, 3, 4]);
  });

  it("stops to read while the broker's budget is spent, and reads on when bytes are released", async () => {
    world = new World({}, 1_000);
    const holder = world.open();
    await holder.client.write([frame(1, 2_000)]);
    await quiet();
    const other = world.open();
    await other.client.write([frame(2)]);
    await quiet();
    expect(world.startedLabels).toEqual([1]);
    world.started[0]?.answer();
    // The turn of the one that has nothing more to send.
    await world.clock.advance(TURN_MS);
    expect(world.startedLabels).toEqual([1, 2]);
  });

  it("reads on from only as many connections as there is room for again", async () => {
    const budgetBytes = 1024 * 1024;
    const bodyBytes = 100_000;
    world = new World({}, budgetBytes);
    const holder = world.open();
    await holder.client.write([frame(0, budgetBytes)]);
    await quiet();
    const clients = Array.from({ length: 40 }, () => world.open({ chunkBytesMax: READ_BYTES }));
    const sends = clients.map(({ client }, index) => client.write([frame(1 + index, bodyBytes)]));
    await quiet();
    expect(world.startedLabels).toEqual([0]);
    for (let answered = 0; answered < 41; answered++) {
      world.started[answered]?.answer();
      await world.clock.advance(TURN_MS);
      expect(world.budget.taken).toBeLessThan(budgetBytes + READ_BYTES);
    }
    await Promise.all(sends);
    expect(clients.map(({ reader }) => reader.labels)).toEqual(clients.map((_, index) => [1 + index]));
    expect(world.budget.taken).toBe(0);
  });

  it("completes every frame one after the other when half-sent frames alone exceed the budget", async () => {
    world = new World({}, 64 * 1024);
    world.isImmediate = true;
    const bodyBytes = 10_000;
    const clients = Array.from({ length: 50 }, () => world.open({ chunkBytesMax: 1_000, capacity: 500 }));
    const whole = frame(7, bodyBytes);
    const sends = clients.map(({ client }) => client.write([whole.subarray(0, 6_000)]));
    await quiet();
    expect(world.budget.taken).toBeLessThan(64 * 1024 + 50 * 1_000);
    sends.push(...clients.map(({ client }) => client.write([whole.subarray(6_000)])));
    await Promise.all(sends);
    await quiet();
    expect(clients.map(({ reader }) => reader.labels)).toEqual(clients.map(() => [7]));
    expect(world.budget.taken).toBe(0);
  });

  it("gives every byte back when requests are answered, and when a connection dies in the middle", async () => {
    const { client } = world.open();
    await client.write([frame(1, 5_000), frame(2, 5_000), frame(3, 5_000).subarray(0, 100)]);
    await quiet();
    expect(world.started[0]?.peer.reserveResponseBytes(9_000)).toBe(9_000);
    expect(world.budget.taken).toBe(2 * 5_004 + 100 + 9_000);
    world.started[0]?.answer(20);
    await quiet();
    expect(world.budget.taken).toBe(5_004 + 100);
    client.destroy();
    await quiet();
    expect(world.budget.taken).toBe(5_004);
    world.started[1]?.answer();
    await quiet();
    expect(world.budget.taken).toBe(0);
  });

  it("counts the bytes of an answered request as long as something uses them, also beyond the connection", async () => {
    const { client } = world.open();
    await client.write([frame(1, 5_000)]);
    await quiet();
    let release = () => {};
    world.started[0]?.peer.retainRequest(new Promise<void>((resolve) => (release = resolve)));
    world.started[0]?.answer();
    await quiet();
    expect(world.budget.taken).toBe(5_004);
    client.destroy();
    await quiet();
    expect(world.budget.taken).toBe(5_004);
    release();
    await quiet();
    expect(world.budget.taken).toBe(0);
  });

  it("grants an answer no more than the budget has and wakes who waits for more", async () => {
    world = new World({}, 1_000);
    const { client } = world.open();
    await client.write([frame(1), frame(2)]);
    await quiet();
    const [first, second] = world.started;
    expect(first?.peer.reserveResponseBytes(5_000)).toBe(1_000 - 24);
    expect(second?.peer.reserveResponseBytes(5_000)).toBe(0);
    let isAwake = false;
    void second?.peer.waitForResponseBytes(60_000).then(() => (isAwake = true));
    await quiet();
    expect(isAwake).toBe(false);
    first?.answer();
    await quiet();
    expect(isAwake).toBe(true);
  });
});

describe("ends", () => {
  it("ends when the client closes, and tells handlers that wait", async () => {
    const { client, done } = world.open();
    await client.write([frame(1)]);
    await quiet();
    client.end();
    await done;
    expect(world.ends).toEqual(["closed by the client"]);
    expect(world.started[0]?.peer.signal.aborted).toBe(true);
    expect(world.clock.timerCount).toBe(0);
  });

  it("sends the answers before a request that ends the connection, and starts nothing behind it", async () => {
    const { client, reader, done } = world.open();
    await client.write([frame(1), frame(2)]);
    await quiet();
    world.started[1]?.fail(new ConnectionEndError("unknown api key", "API key 999"));
    await quiet();
    await client.write([frame(3)]);
    await quiet();
    expect(world.ends).toEqual([]);
    world.started[0]?.answer();
    await done;
    await quiet();
    expect(world.startedLabels).toEqual([1, 2]);
    expect(reader.labels).toEqual([1]);
    expect(reader.isEnded).toBe(true);
    expect(world.ends).toEqual(["unknown api key"]);
  });

  it.each([-1, 0, 7, 101])("ends at a frame of %i bytes after answering what came before", async (size) => {
    world = new World({ requestBytesMax: 100 });
    const { client, reader, done } = world.open();
    const bad = new Uint8Array(4);
    new DataView(bad.buffer).setInt32(0, size);
    await client.write([frame(1), bad, frame(2)]);
    await quiet();
    world.started[0]?.answer();
    await done;
    await quiet();
    expect(reader.labels).toEqual([1]);
    expect(world.startedLabels).toEqual([1]);
    expect(world.ends).toEqual(["frame size"]);
  });

  it("does not wait for ever for the answers before an end", async () => {
    const { client, done } = world.open();
    await client.write([frame(1), frame(2)]);
    await quiet();
    world.started[1]?.fail(new ConnectionEndError("unreadable request", "damage"));
    await world.clock.advance(world.settings.writeStallMs);
    await done;
    expect(world.ends).toEqual(["unreadable request"]);
  });

  it("closes at once on a bug and reports it", async () => {
    const { client, reader, done } = world.open();
    await client.write([frame(1), frame(2)]);
    await quiet();
    const bug = new TypeError("a bug");
    world.started[1]?.fail(bug);
    await done;
    await quiet();
    expect(world.bugs).toEqual([bug]);
    expect(world.ends).toEqual(["bug"]);
    expect(reader.labels).toEqual([]);
  });

  it("reports a bug of a request whose connection is gone", async () => {
    const { client, done } = world.open();
    await client.write([frame(1)]);
    await quiet();
    client.destroy();
    await done;
    const bug = new TypeError("a late bug");
    world.started[0]?.fail(bug);
    await quiet();
    expect(world.bugs).toEqual([bug]);
    expect(world.errorLines).toEqual(["a request met a bug after its connection ended"]);
  });

  it("is not noticed by another connection", async () => {
    const one = world.open();
    const other = world.open();
    await one.client.write([frame(1)]);
    await other.client.write([frame(2)]);
    await quiet();
    one.client.destroy();
    await one.done;
    world.started[1]?.answer();
    await quiet();
    expect(other.reader.labels).toEqual([2]);
    expect(other.reader.isEnded).toBe(false);
  });

  it("answers what was asked and reads no more when it is to finish", async () => {
    const { client, connection, reader, done } = world.open();
    await client.write([frame(1)]);
    await quiet();
    connection.finish();
    await client.write([frame(2)]);
    await quiet();
    world.started[0]?.answer();
    await done;
    await quiet();
    expect(world.startedLabels).toEqual([1]);
    expect(reader.labels).toEqual([1]);
    expect(world.ends).toEqual(["stopped"]);
  });
});

describe("deadlines", () => {
  it("closes a frame that got no byte for 30 s, and not one that gets a byte in time", async () => {
    const { client, done } = world.open();
    const bytes = frame(1, 100);
    for (let sent = 0; sent < 5; sent++) {
      await client.write([bytes.subarray(sent, sent + 1)]);
      await world.clock.advance(29_000);
    }
    expect(world.ends).toEqual([]);
    await world.clock.advance(1_000);
    await done;
    expect(world.ends).toEqual(["partial frame"]);
  });

  it("closes a connection that asks nothing for 10 min, counted from its last answer", async () => {
    const { client, done } = world.open();
    await client.write([frame(1)]);
    await world.clock.advance(3_600_000);
    expect(world.ends).toEqual([]);
    world.started[0]?.answer();
    await world.clock.advance(599_000);
    expect(world.ends).toEqual([]);
    await world.clock.advance(1_000);
    await done;
    expect(world.ends).toEqual(["idle"]);
  });

  it("closes a peer that takes nothing of an answer for a minute, and not one that takes it slowly", async () => {
    const { client, reader, done } = world.open({ capacity: 100 });
    reader.allow(1);
    await client.write([frame(1)]);
    await quiet();
    world.started[0]?.answer(8 * 1024 * 1024);
    for (let step = 0; step < 3; step++) {
      await world.clock.advance(50_000);
      reader.allow(40);
      await quiet();
    }
    expect(world.ends).toEqual([]);
    await world.clock.advance(60_000);
    await done;
    expect(world.ends).toEqual(["stalled"]);
    expect(world.budget.taken).toBe(0);
  });

  it("does not blame the client for a budget that is spent", async () => {
    world = new World({}, 100);
    const holder = world.open();
    await holder.client.write([frame(1, 200)]);
    await quiet();
    const { client } = world.open();
    await client.write([frame(2, 100).subarray(0, 50)]);
    await world.clock.advance(120_000);
    expect(world.ends).toEqual([]);
    world.started[0]?.answer();
    await world.clock.advance(TURN_MS);
    await world.clock.advance(29_000);
    expect(world.ends).toEqual([]);
    await world.clock.advance(1_000);
    expect(world.ends).toEqual(["partial frame"]);
  });
});
