// What only a TCP connection shows: resets, addresses, and how much it reads ahead.
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { TcpTransport } from "../../src/host/tcp-transport.ts";
import type { Connection } from "../../src/host/transport.ts";

const { signal } = new AbortController();
const loopback = { host: "127.0.0.1", port: 0 };

/** An accepted connection and the plain socket at its other end. */
async function accepted(): Promise<{ connection: Connection; peer: Socket }> {
  let accept: (connection: Connection) => void = () => {};
  const arriving = new Promise<Connection>((resolve) => {
    accept = resolve;
  });
  const listener = await new TcpTransport().listen(loopback, (connection) => accept(connection));
  const peer = connect(listener.address.port, "127.0.0.1");
  peer.on("error", () => {});
  const connection = await arriving;
  onTestFinished(async () => {
    connection.destroy();
    peer.destroy();
    await listener.close();
  });
  return { connection, peer };
}

it("knows the address of its peer", async () => {
  const { connection, peer } = await accepted();
  expect(connection.remote).toEqual({ host: "127.0.0.1", port: peer.localPort });
});

it("throws from the chunks of a connection that its peer reset, and goes on throwing", async () => {
  const { connection, peer } = await accepted();
  const chunks = connection.chunks();
  const waiting = chunks.next();
  await new Promise<void>((resolve) => {
    peer.write("x", () => resolve());
  });
  await waiting;
  const broken = chunks.next();
  peer.resetAndDestroy();
  await expect(broken).rejects.toThrow("ECONNRESET");
  await expect(chunks.next()).rejects.toThrow("ECONNRESET");
  await expect(connection.write([new Uint8Array(1)])).rejects.toThrow("writing to");
});

it("sends small and large parts in the order in which they were given", async () => {
  const { connection, peer } = await accepted();
  const sizes = [3, 0, 5_000, 1, 2, 4_095, 4_096, 70_000, 9, 0];
  const parts = sizes.map((size, index) => new Uint8Array(size).fill(index + 1));
  const arrived: Buffer[] = [];
  peer.on("data", (chunk: Buffer) => arrived.push(chunk));
  const ended = once(peer, "end");
  await connection.write(parts);
  connection.end();
  await ended;
  expect(Buffer.concat(arrived).equals(Buffer.concat(parts))).toBe(true);
});

it("reads at most one chunk that nobody has asked for", async () => {
  const { connection, peer } = await accepted();
  const chunks = connection.chunks();
  peer.write(Buffer.alloc(2_000_000, 1));
  const { value: first } = await chunks.next();
  const kept = first?.slice();
  for (let turn = 0; turn < 20; turn++) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
  expect(first).toEqual(kept);
  const { value: second } = await chunks.next();
  expect((first?.byteLength ?? 0) + (second?.byteLength ?? 0)).toBeLessThan(300_000);
});

it("takes large chunks from a peer that sends much and small buffers for one that sends little", async () => {
  const { connection, peer } = await accepted();
  const chunks = connection.chunks();
  peer.write(Buffer.alloc(5_000_000, 1));
  let received = 0;
  let largest = 0;
  while (received < 5_000_000) {
    const { value } = await chunks.next();
    received += value?.byteLength ?? 0;
    largest = Math.max(largest, value?.byteLength ?? 0);
  }
  expect(largest).toBeGreaterThan(60_000);
  const sizes: number[] = [];
  for (let turn = 0; turn < 3; turn++) {
    peer.write("small");
    const { value } = await chunks.next();
    sizes.push(value?.buffer.byteLength ?? 0);
  }
  expect(sizes.at(-1)).toBeLessThan(10_000);
});

it("rejects a connection that nobody accepts, by its signal too", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  server.close();
  await once(server, "close");
  await expect(new TcpTransport().connect({ host: "127.0.0.1", port }, { signal })).rejects.toThrow("ECONNREFUSED");
  const controller = new AbortController();
  const connecting = new TcpTransport().connect({ host: "10.255.255.1", port: 9 }, { signal: controller.signal });
  controller.abort(new Error("stopped"));
  await expect(connecting).rejects.toThrow(/stopped|EN|EHOST/);
});
