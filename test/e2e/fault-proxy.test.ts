// The proxies harm what they say, count it, and give back what they held: a proxy that does nothing would make every
// scenario green.
import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { FaultProxy, type FaultProxyOptions } from "./fault-proxy.ts";
import { S3Gate } from "./s3-gate.ts";
import { eventually } from "./wait.ts";

/** A server that sends everything back, and its port. */
async function openEcho(port = 0): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address();
  const close = () =>
    new Promise<void>((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
    });
  onTestFinished(close);
  return { port: typeof address === "object" && address ? address.port : 0, close };
}

async function openProxy(targetPort: number, options: FaultProxyOptions = {}): Promise<FaultProxy> {
  const proxy = await FaultProxy.open(targetPort, options);
  onTestFinished(() => proxy.close());
  return proxy;
}

/** A client, what came back to it, and how its connection ended. */
function openClient(port: number, host = "127.0.0.1") {
  const client = { socket: connect(port, host), text: "", end: "" };
  client.socket.on("data", (piece) => {
    client.text += String(piece);
  });
  client.socket.on("error", (error: NodeJS.ErrnoException) => {
    client.end = error.code ?? "error";
  });
  client.socket.on("close", () => {
    client.end ||= "closed";
  });
  onTestFinished(() => void client.socket.destroy());
  return client;
}

async function isRefused(port: number): Promise<boolean> {
  const client = openClient(port);
  await new Promise((resolve) => client.socket.once("connect", resolve).once("close", resolve));
  client.socket.destroy();
  return client.end === "ECONNREFUSED";
}

describe("a fault proxy", () => {
  it("holds in a black hole what is sent, on old and new connections, and gives it late and whole", async () => {
    const proxy = await openProxy((await openEcho()).port);
    const old = openClient(proxy.port);
    old.socket.write("a");
    await eventually(
      () => old.text === "a",
      () => old.text,
    );
    expect(proxy.harmedCount).toBe(0);
    proxy.mode = "black-hole";
    const fresh = openClient(proxy.port);
    old.socket.write("b");
    fresh.socket.write("c");
    await eventually(
      () => proxy.harmedCount === 2,
      () => String(proxy.harmedCount),
    );
    expect([old.text, fresh.text, old.end, fresh.end]).toEqual(["a", "", "", ""]);
    proxy.mode = "pass";
    await eventually(
      () => old.text === "ab" && fresh.text === "c",
      () => old.text + fresh.text,
    );
  });

  it("resets and refuses connections, and takes them again at the same port", async () => {
    const proxy = await openProxy((await openEcho()).port);
    const client = openClient(proxy.port);
    client.socket.write("a");
    await eventually(
      () => client.text === "a",
      () => client.text,
    );
    proxy.mode = "refuse";
    await eventually(
      () => client.end !== "",
      () => "an end",
    );
    expect(proxy.harmedCount).toBeGreaterThan(0);
    expect(await isRefused(proxy.port)).toBe(true);
    proxy.mode = "pass";
    await eventually(
      async () => !(await isRefused(proxy.port)),
      () => "a connection",
    );
  });

  it("delays each piece and keeps their order, also when the delay ends", async () => {
    const proxy = await openProxy((await openEcho()).port);
    proxy.delayMs = 200;
    const client = openClient(proxy.port);
    const startedMs = performance.now();
    client.socket.write("a");
    await eventually(
      () => proxy.harmedCount > 0,
      () => "a delayed piece",
    );
    proxy.delayMs = 0;
    client.socket.write("b");
    await eventually(
      () => client.text.length === 2,
      () => client.text,
    );
    expect(client.text).toBe("ab");
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(200);
  });

  it("refuses connections while its target is away, as the target would", async () => {
    const echo = await openEcho();
    const proxy = await openProxy(echo.port, { standsForPort: echo.port });
    const client = openClient(proxy.port);
    client.socket.write("a");
    await eventually(
      () => client.text === "a",
      () => client.text,
    );
    await echo.close();
    await eventually(
      () => isRefused(proxy.port),
      () => "a refusal",
    );
    await openEcho(echo.port);
    await eventually(
      async () => !(await isRefused(proxy.port)),
      () => "a connection",
    );
    const next = openClient(proxy.port);
    next.socket.write("b");
    await eventually(
      () => next.text !== "",
      () => "an echo",
    );
    expect([next.text, client.end]).toEqual(["b", "closed"]);
  });
});

describe("an S3 gate", () => {
  it("passes calls on, answers 503 in the store's place, delays puts, and counts what it harmed", async () => {
    const seen: string[] = [];
    const server = createHttpServer((call, answer) => {
      seen.push(`${call.method} ${call.url} ${call.headers.host}`);
      answer.statusCode = call.url === "/secret" ? 403 : 200;
      call.pipe(answer);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const address = server.address();
    const gate = await S3Gate.open(typeof address === "object" && address ? address.port : 0);
    onTestFinished(() => gate.close());
    const call = async (method: string, path: string) => {
      const answer = await fetch(`http://127.0.0.1:${gate.port}${path}`, {
        method,
        ...(method === "PUT" && { body: "body" }),
      });
      return `${answer.status} ${await answer.text()}`;
    };
    expect(await call("PUT", "/a")).toBe("200 body");
    expect(seen).toEqual([`PUT /a 127.0.0.1:${gate.port}`]);
    expect([await call("GET", "/secret"), gate.refusedCount, gate.harmedCount]).toEqual(["403 ", 1, 0]);
    gate.isStorming = true;
    expect(await call("PUT", "/b")).toMatch(/^503 .*<Code>SlowDown<\/Code>/s);
    expect([seen.length, gate.harmedCount]).toEqual([2, 1]);
    gate.isStorming = false;
    gate.putDelayMs = 100;
    const startedMs = performance.now();
    expect(await call("PUT", "/c")).toBe("200 body");
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(100);
    expect(gate.harmedCount).toBe(2);
  });
});
