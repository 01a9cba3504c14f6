// What every transport promises, as one suite: TCP and the simulated network. The subject drives what a test awaits, so
// that virtual time moves while it waits.
import { describe, expect, it, onTestFinished } from "vitest";
import type { Address, Connection, Transport } from "../../src/host/transport.ts";

/** A transport under test. */
export interface TransportSubject {
  readonly transport: Transport;
  /** Where to listen, with port 0. */
  readonly address: Address;
  /** Lets time pass until `promise` settles. */
  readonly drive: <T>(promise: Promise<T>) => Promise<T>;
  /** Bytes of unread data a connection may hold at most, on both sides and between. */
  readonly bytesInFlightMax: number;
}

type Pair = { readonly client: Connection; readonly server: Connection };

const { signal } = new AbortController();

/** Declares the suite for one side. */
export function describeTransport(name: string, open: () => Promise<TransportSubject>): void {
  const test = (guarantee: string, body: (pair: Pair, subject: TransportSubject) => Promise<void>) =>
    it(guarantee, async () => {
      const subject = await open();
      await subject.drive(withPair(subject, (pair) => body(pair, subject)));
    });
  describe(`${name} as a transport`, () => {
    describeStreams(test);
    describeEnds(test);
    describeListeners(open);
  });
}

type Test = (guarantee: string, body: (pair: Pair, subject: TransportSubject) => Promise<void>) => void;

function describeStreams(test: Test): void {
  test("delivers every byte in order, whatever the sizes of the writes", async ({ client, server }) => {
    const sizes = [1, 2, 3, 4095, 4096, 4097, 65_536, 1, 300_000, 7, 1_000_000];
    const sent = sizes.map((size, index) => pattern(size, index));
    const received = readAll(server);
    for (let index = 0; index < sent.length; index += 2) await client.write(sent.slice(index, index + 2));
    client.end();
    expect(Buffer.compare(await received, Buffer.concat(sent))).toBe(0);
  });

  test("carries both directions at once", async ({ client, server }) => {
    const [up, down] = [pattern(500_000, 1), pattern(700_000, 2)];
    const results = Promise.all([readAll(server), readAll(client), client.write([up]), server.write([down])]);
    void Promise.all([client.write([up]), server.write([down])]).then(() => {
      client.end();
      server.end();
    });
    const [atServer, atClient] = await results;
    expect(Buffer.compare(atServer, Buffer.concat([up, up]))).toBe(0);
    expect(Buffer.compare(atClient, Buffer.concat([down, down]))).toBe(0);
  });

  test("lets a writer reuse its bytes once a write has resolved", async ({ client, server }) => {
    const bytes = new Uint8Array(100_000);
    const received = readAll(server);
    for (let round = 0; round < 10; round++) {
      bytes.fill(round);
      await client.write([bytes]);
      bytes.fill(255);
    }
    client.end();
    const all = await received;
    expect(all.byteLength).toBe(1_000_000);
    expect(all.every((byte, index) => byte === Math.floor(index / 100_000))).toBe(true);
  });

  test("makes a writer wait for a reader who does not ask, and goes on when he does", async (pair, subject) => {
    const { client, server } = pair;
    const bytes = pattern(1_000_000, 3);
    let writtenBytes = 0;
    const writing = (async () => {
      for (let count = 0; count < 24; count++) {
        await client.write([bytes]);
        writtenBytes += bytes.byteLength;
      }
      client.end();
    })();
    const chunks = server.chunks();
    const first = await chunks.next();
    await exchange(subject);
    expect(writtenBytes).toBeLessThan(subject.bytesInFlightMax);
    let receivedBytes = first.value?.byteLength ?? 0;
    for await (const chunk of chunks) receivedBytes += chunk.byteLength;
    await writing;
    expect(receivedBytes).toBe(24_000_000);
  });

  test("never gives an empty chunk, also for empty writes", async ({ client, server }) => {
    await client.write([]);
    await client.write([new Uint8Array(), new Uint8Array([1]), new Uint8Array()]);
    client.end();
    for await (const chunk of server.chunks()) expect(chunk.byteLength).toBeGreaterThan(0);
    expect(server.remote.port).toBeGreaterThan(0);
  });
}

function describeEnds(test: Test): void {
  test("lets a side that was told the end still answer", async ({ client, server }) => {
    await client.write([pattern(10, 1)]);
    client.end();
    expect((await readAll(server)).byteLength).toBe(10);
    await server.write([pattern(20, 1)]);
    server.end();
    expect((await readAll(client)).byteLength).toBe(20);
  });

  test("rejects a write after the end of one's own side", async ({ client }) => {
    client.end();
    await expect(client.write([pattern(1, 1)])).rejects.toThrow("writing to");
  });

  test("ends the chunks and rejects the writes of a side that destroyed itself", async ({ client }) => {
    const waiting = client.chunks().next();
    client.destroy();
    client.destroy();
    expect((await waiting).done).toBe(true);
    await expect(client.write([pattern(1, 1)])).rejects.toThrow("writing to");
    expect((await client.chunks().next()).done).toBe(true);
  });

  test("settles a write that was waiting when its side was destroyed", async ({ client }) => {
    const writes = Array.from({ length: 30 }, () => client.write([pattern(1_000_000, 1)]));
    client.destroy();
    const outcomes = await Promise.allSettled(writes);
    expect(outcomes.at(-1)?.status).toBe("rejected");
  });

  test("tells the peer of a side that was destroyed, by an end or an error", async ({ client, server }) => {
    const seen = readAll(server).catch((error: unknown) => error);
    client.destroy();
    const outcome = await seen;
    expect(outcome instanceof Error || (outcome instanceof Uint8Array && outcome.byteLength === 0)).toBe(true);
  });

  test("rejects the writes to a peer that is gone, sooner or later", async ({ client, server }) => {
    server.destroy();
    const writing = (async () => {
      for (let count = 0; count < 100; count++) await client.write([pattern(1_000_000, 1)]);
    })();
    await expect(writing).rejects.toThrow("writing to");
  });
}

function describeListeners(open: () => Promise<TransportSubject>): void {
  it("refuses a second listener at an address that is taken, naming it", async () => {
    const { transport, address, drive } = await open();
    const listener = await drive(transport.listen(address, () => {}));
    await expect(drive(transport.listen(listener.address, () => {}))).rejects.toThrow(String(listener.address.port));
    await drive(listener.close());
  });

  it("refuses a connection where nobody listens, naming the address", async () => {
    const { transport, address, drive } = await open();
    const listener = await drive(transport.listen(address, () => {}));
    await drive(listener.close());
    await expect(drive(transport.connect(listener.address, { signal }))).rejects.toThrow(String(listener.address.port));
  });

  it("gives up a connection when its signal aborts", async () => {
    const { transport, address, drive } = await open();
    const gone = AbortSignal.abort(new Error("stopped"));
    await expect(drive(transport.connect({ ...address, port: 9 }, { signal: gone }))).rejects.toThrow("stopped");
  });

  it("keeps connections that exist when the listener closes, and frees its address", async () => {
    const subject = await open();
    await subject.drive(
      withPair(subject, async ({ client, server }, closeListener) => {
        const address = await closeListener();
        const again = await subject.transport.listen(address, () => {});
        await again.close();
        await client.write([pattern(3, 1)]);
        client.end();
        expect((await readAll(server)).byteLength).toBe(3);
      }),
    );
  });
}

/** Runs `body` with the two ends of one connection, and breaks both afterwards. */
async function withPair(
  { transport, address }: TransportSubject,
  body: (pair: Pair, closeListener: () => Promise<Address>) => Promise<void>,
): Promise<void> {
  let accept: (connection: Connection) => void = () => {};
  const accepted = new Promise<Connection>((resolve) => {
    accept = resolve;
  });
  const listener = await transport.listen(address, (connection) => accept(connection));
  const client = await transport.connect(listener.address, { signal });
  const server = await accepted;
  onTestFinished(() => {
    client.destroy();
    server.destroy();
    void listener.close();
  });
  await body({ client, server }, async () => {
    await listener.close();
    return listener.address;
  });
}

/** One byte there and back on a connection of its own: time enough for what was sent before. */
async function exchange(subject: TransportSubject): Promise<void> {
  for (let round = 0; round < 20; round++) {
    await withPair(subject, async ({ client, server }) => {
      await client.write([pattern(1, 1)]);
      await server.chunks().next();
    });
  }
}

async function readAll(connection: Connection): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of connection.chunks()) chunks.push(chunk.slice());
  return Buffer.concat(chunks);
}

function pattern(size: number, salt: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let index = 0; index < size; index++) bytes[index] = (index * 7 + salt + (index >>> 8)) & 0xff;
  return bytes;
}
