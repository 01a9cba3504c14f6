// The HTTP/2 connection of a caller: opened when needed, shared, opened again after it broke, and never the end of the
// process.
import { once } from "node:events";
import { createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, createServer } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { H2cClient } from "../../src/host/h2c-client.ts";

async function openServer() {
  const sessions: ServerHttp2Session[] = [];
  const server = createHttp2Server((_request, response) => response.end("hello"));
  server.on("session", (session) => sessions.push(session));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = new H2cClient({ host: "127.0.0.1", port });
  onTestFinished(() => {
    client.reset();
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { client, sessions };
}

async function get(client: H2cClient): Promise<string> {
  const stream = await client.request("GET", "/", {});
  stream.setEncoding("utf8");
  let text = "";
  stream.on("data", (part: string) => {
    text += part;
  });
  await once(stream, "close");
  return text;
}

it("shares one connection among requests", async () => {
  const { client, sessions } = await openServer();
  expect(await Promise.all([get(client), get(client), get(client)])).toEqual(["hello", "hello", "hello"]);
  expect(await get(client)).toBe("hello");
  expect(sessions).toHaveLength(1);
});

it("tells once that the connection has ended, and soon where there is none", async () => {
  const { client, sessions } = await openServer();
  await new Promise<void>((resolve) => void client.onClosed(resolve));
  await get(client);
  let count = 0;
  const closed = new Promise<void>((resolve) => {
    client.onClosed(() => {
      count++;
      resolve();
    });
  });
  client.onClosed(() => {
    count += 100;
  })();
  await get(client);
  expect(count).toBe(0);
  for (const session of sessions) session.destroy();
  await closed;
  expect(count).toBe(1);
});

it("opens another connection after one was broken, told to go, or given up", async () => {
  const { client, sessions } = await openServer();
  await get(client);
  const [first] = sessions;
  first?.destroy();
  await (first && once(first, "close"));
  while ((await get(client).catch(() => "")) !== "hello") expect(sessions.length).toBeLessThan(3);
  const second = sessions.at(-1);
  second?.goaway();
  const stream = await client.request("GET", "/", {});
  stream.on("error", () => {});
  await new Promise((resolve) => {
    stream.once("close", resolve);
  });
  expect(await get(client)).toBe("hello");
  const count = sessions.length;
  client.reset();
  expect(await get(client)).toBe("hello");
  expect(sessions).toHaveLength(count + 1);
});

it("rejects with Node's reason where nobody listens, and with a reason where it is no HTTP/2", async () => {
  const server = createServer((socket) =>
    socket
      .on("error", () => {})
      .resume()
      .end("220 something else\r\n"),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = new H2cClient({ host: "127.0.0.1", port });
  const outcome = await client
    .request("GET", "/", {})
    .then((stream) => once(stream, "close"))
    .catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(Error);
  server.close();
  await once(server, "close");
  await expect(client.request("GET", "/", {})).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

it("spells an IPv6 address as a URL does", () => {
  expect(new H2cClient({ host: "::1", port: 9093 }).authority).toBe("http://[::1]:9093");
});
