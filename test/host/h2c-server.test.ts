// HTTP/2 on the port for metrics: beside HTTP/1.1, within its bounds, and gone when the port is closed.
import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { defaultH2cLimits, type H2cLimits, H2cServer, type Http2Handler } from "../../src/host/h2c-server.ts";
import { openHttpPort } from "../../src/host/http-port.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** An empty SETTINGS frame. */
const SETTINGS = "\0\0\0\x04\0\0\0\0\0";

const echo: Http2Handler = (request, response) => {
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => response.end(`${request.url} ${Buffer.concat(parts).toString()}`));
};

async function open(options: { limits?: H2cLimits; handler?: Http2Handler | null } = {}) {
  const { limits = defaultH2cLimits, handler = echo } = options;
  const h2c = new H2cServer(limits);
  if (handler) h2c.serve(handler);
  const port = await openHttpPort({
    address: { host: "127.0.0.1", port: 0 },
    routes: { "/healthz": () => ({ status: 200, contentType: "text/plain", body: "ok" }) },
    takeHttp2: (socket) => h2c.take(socket),
  });
  const close = async () => {
    await Promise.all([h2c.close(), port.close()]);
  };
  onTestFinished(close);
  return { h2c, close, url: `http://127.0.0.1:${port.address.port}`, port: port.address.port };
}

function client(url: string): ClientHttp2Session {
  const session = connectHttp2(url);
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  return session;
}

/** One request; its answer's body, or the error that ended it. */
async function post(session: ClientHttp2Session, path: string, body: string): Promise<string> {
  const stream = session.request({ ":method": "POST", ":path": path });
  stream.setEncoding("utf8");
  let text = "";
  stream.on("data", (part: string) => {
    text += part;
  });
  stream.end(body);
  await once(stream, "close");
  return text;
}

function deferred<T>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** A raw connection that has sent `bytes`. */
async function raw(port: number, bytes: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, "connect");
  socket.write(bytes, "latin1");
  return socket;
}

describe("one port for both", () => {
  it("answers HTTP/2 and HTTP/1.1 at the same time", async () => {
    const { url } = await open();
    const session = client(url);
    const answers = await Promise.all([post(session, "/a", "one"), post(session, "/b", "x".repeat(100_000))]);
    expect(answers).toEqual(["/a one", `/b ${"x".repeat(100_000)}`]);
    expect(await (await fetch(`${url}/healthz`)).text()).toBe("ok");
    expect(await post(session, "/c", "still")).toBe("/c still");
  });

  it("breaks connections while nothing serves yet, and takes them afterwards", async () => {
    const { url, h2c } = await open({ handler: null });
    const early = client(url);
    await once(early, "close");
    h2c.serve(echo);
    expect(await post(client(url), "/x", "")).toBe("/x ");
  });
});

describe("bounds", () => {
  const hasty = { ...defaultH2cLimits, requestTimeoutMs: 50 };

  it("breaks a connection whose first request does not come", async () => {
    const { port } = await open({ limits: hasty });
    const silent = await raw(port, PREFACE + SETTINGS);
    await once(silent, "close");
    expect(silent.destroyed).toBe(true);
  });

  it("ends a request that is never complete, and answers the next one", async () => {
    const { url } = await open({ limits: hasty });
    const session = client(url);
    const slow = session.request({ ":method": "POST", ":path": "/slow" });
    slow.on("error", () => {});
    slow.write("half");
    await once(slow, "close");
    expect(slow.rstCode).toBe(8);
    expect(await post(session, "/next", "whole")).toBe("/next whole");
  });

  it("breaks a connection that is idle for too long", async () => {
    const { url } = await open({ limits: { ...defaultH2cLimits, idleTimeoutMs: 50 } });
    const session = client(url);
    expect(await post(session, "/x", "")).toBe("/x ");
    await once(session, "close");
    expect(session.destroyed).toBe(true);
  });

  it("breaks a connection that ends its side, and one with bytes that are no frames", async () => {
    const { port } = await open();
    const half = await raw(port, PREFACE + SETTINGS);
    half.end();
    await once(half, "close");
    const garbage = await raw(port, `${PREFACE}no frame at all, and not for long either`);
    await once(garbage, "close");
    expect([half.destroyed, garbage.destroyed]).toEqual([true, true]);
  });

  it("refuses headers past 16 KiB", async () => {
    const { url } = await open();
    const session = client(url);
    const statusOf = async (headerBytes: number) => {
      const stream = session.request({ ":path": "/x", big: "x".repeat(headerBytes) });
      stream.resume();
      const [headers] = await once(stream, "response");
      return headers[":status"];
    };
    expect([await statusOf(16_000), await statusOf(16_400)]).toEqual([200, 431]);
  });
});

describe("closing", () => {
  it("lets a request under way be answered, and takes no other", async () => {
    const { promise: started, resolve: start } = deferred<() => void>();
    const { url, close } = await open({ handler: (_request, response) => start(() => response.end("late")) });
    const session = client(url);
    const reply = post(session, "/x", "");
    const answer = await started;
    const closed = close();
    await once(session, "goaway");
    expect(() => session.request({ ":path": "/y" })).toThrow(/GOAWAY|closed|destroyed/i);
    answer();
    expect(await reply).toBe("late");
    await closed;
  });

  it("breaks what does not end within a moment", async () => {
    const { url, close } = await open({ handler: () => {} });
    const session = client(url);
    const stream = session.request({ ":path": "/never" });
    stream.on("error", () => {});
    await once(session, "connect");
    await once(session, "remoteSettings");
    await close();
    await expect(fetch(`${url}/healthz`)).rejects.toThrow("fetch failed");
  });
});
