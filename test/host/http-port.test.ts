// The port for metrics and health: what it answers, what it refuses and at which bound, and how it tells HTTP/2.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { healthRoutes } from "../../src/host/health-routes.ts";
import {
  HEADER_BYTES_MAX,
  type HttpPort,
  type HttpPortOptions,
  openHttpPort,
  URL_BYTES_MAX,
} from "../../src/host/http-port.ts";
import { PrometheusMetrics } from "../../src/host/prometheus-metrics.ts";

const loopback = { host: "127.0.0.1", port: 0 };

async function open(
  options: Partial<HttpPortOptions> = {},
  reasonNotReady: () => string | undefined = () => undefined,
) {
  const metrics = new PrometheusMetrics();
  const port = await openHttpPort({ address: loopback, routes: healthRoutes(metrics, reasonNotReady), ...options });
  onTestFinished(() => port.close());
  return { port, metrics, url: `http://127.0.0.1:${port.address.port}` };
}

/** Sends raw bytes, piece by piece, and gives all that comes back until the end. */
async function exchange(port: HttpPort, pieces: readonly string[]): Promise<string> {
  const socket = connect(port.address.port, "127.0.0.1");
  socket.setNoDelay(true);
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  await once(socket, "connect");
  for (const piece of pieces) {
    socket.write(piece, "latin1");
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
  await once(socket, "close");
  return received;
}

describe("routes", () => {
  it("answers metrics, health and readiness", async () => {
    let reason: string | undefined = "no session yet";
    const { url, metrics } = await open({}, () => reason);
    metrics.counter("flushes_total", "Flushes.").value = 3;
    const text = await fetch(`${url}/metrics`);
    expect(text.headers.get("content-type")).toContain("text/plain; version=0.0.4");
    expect(await text.text()).toContain("flushes_total 3\n");
    expect((await fetch(`${url}/healthz?verbose=1`)).status).toBe(200);
    const notReady = await fetch(`${url}/readyz`);
    expect([notReady.status, await notReady.text()]).toEqual([503, "no session yet\n"]);
    reason = undefined;
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });

  it("answers HEAD without a body, other methods with 405 and other paths with 404", async () => {
    const { url } = await open();
    const head = await fetch(`${url}/healthz`, { method: "HEAD" });
    expect([head.status, await head.text(), head.headers.get("content-length")]).toEqual([200, "", "3"]);
    const post = await fetch(`${url}/healthz`, { method: "POST", body: "x" });
    expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    expect((await fetch(`${url}/toString`)).status).toBe(404);
    expect((await fetch(`${url}/`)).status).toBe(404);
  });

  it("answers 500 when an answer cannot be made, and goes on", async () => {
    let isBroken = true;
    const routes = {
      "/x": () => {
        if (isBroken) throw new Error("secret detail");
        return { status: 200, contentType: "text/plain", body: "fine" };
      },
    };
    const { url } = await open({ routes });
    const broken = await fetch(`${url}/x`);
    expect([broken.status, await broken.text()]).toEqual([500, "the answer could not be made\n"]);
    isBroken = false;
    expect(await (await fetch(`${url}/x`)).text()).toBe("fine");
  });
});

describe("bounds", () => {
  it("takes a URL of 8 KiB and answers 414 to one byte more", async () => {
    const { url } = await open();
    const query = "/healthz?".padEnd(URL_BYTES_MAX, "q");
    expect((await fetch(url + query)).status).toBe(200);
    expect((await fetch(`${url}${query}q`)).status).toBe(414);
  });

  it("answers 431 to headers past 16 KiB", async () => {
    const { url } = await open();
    expect((await fetch(`${url}/healthz`, { headers: { a: "x".repeat(HEADER_BYTES_MAX - 1000) } })).status).toBe(200);
    expect((await fetch(`${url}/healthz`, { headers: { a: "x".repeat(HEADER_BYTES_MAX) } })).status).toBe(431);
  });

  it("closes a connection that says nothing, and one that never ends its headers", async () => {
    const { port } = await open({ headersTimeoutMs: 50 });
    expect(await exchange(port, [])).toBe("");
    expect(await exchange(port, ["GET /healthz HT"])).toMatch(/^(HTTP\/1\.1 408|$)/);
  });

  it("does not wait for ever for what is open when it closes", async () => {
    const { port } = await open();
    const silent = connect(port.address.port, "127.0.0.1");
    silent.on("error", () => {});
    await once(silent, "connect");
    const ended = once(silent, "close");
    await port.close();
    await ended;
    await expect(fetch(`http://127.0.0.1:${port.address.port}/healthz`)).rejects.toThrow("fetch failed");
  });

  it("names the address that it cannot have", async () => {
    const { port } = await open();
    await expect(openHttpPort({ address: port.address, routes: {} })).rejects.toThrow(`127.0.0.1:${port.address.port}`);
  });
});

describe("telling HTTP/2", () => {
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

  it("hands over a connection with all its bytes, in whatever pieces the preface came", async () => {
    for (const pieces of [[`${preface}frames`], [...preface.split(""), "frames"]]) {
      const taken = new Promise<string>((resolve) => {
        void open({
          takeHttp2: (socket: Socket) => {
            let text = "";
            socket.on("data", (chunk) => {
              text += chunk.toString("latin1");
              if (!text.endsWith("frames")) return;
              resolve(text);
              socket.destroy();
            });
          },
        }).then(({ port }) => exchange(port, pieces));
      });
      expect(await taken).toBe(`${preface}frames`);
    }
  });

  it("closes such a connection when nobody takes it", async () => {
    const { port } = await open();
    expect(await exchange(port, [preface])).toBe("");
  });

  it("still answers HTTP/1.1 that comes byte by byte, and several requests in one piece", async () => {
    const { port } = await open();
    const request = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    const last = "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    expect((await exchange(port, last.split(""))).startsWith("HTTP/1.1 200 OK")).toBe(true);
    expect((await exchange(port, [request + request + last])).match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
  });

  it("refuses what is neither", async () => {
    const { port } = await open({ headersTimeoutMs: 50 });
    expect(await exchange(port, ["PRI * HTTP/1.1\r\n\r\n"])).toMatch(/^HTTP\/1\.1 4|^$/);
    expect(await exchange(port, ["\x00\x00\x00\x10garbage\r\n\r\n"])).toContain("400 Bad Request");
  });
});
