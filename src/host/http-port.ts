// The port for people and machines that look after a broker: metrics and health over HTTP/1.1. It listens as plain TCP
// and looks at the first bytes of a connection, so that HTTP/2 without TLS (gRPC) can be taken on the same port; until
// something takes it, such a connection is closed. Answers only GET and HEAD, only the paths it was given, within
// bounds on time, headers, URL and connections.
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer, type Server as NetServer, type Socket } from "node:net";
import { invariant } from "../invariant.ts";
import type { Address } from "./transport.ts";

/** An answer. A `status` outside 200 to 299 is logged by nobody: health checks fail as a matter of course. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Answers per path; the path is without query. */
export type HttpRoutes = Readonly<Record<string, () => Promise<HttpAnswer> | HttpAnswer>>;

/** Takes a connection that began as HTTP/2; what was read of it is put back. */
export type TakeHttp2 = (socket: Socket) => void;

/** An open port. */
export interface HttpPort {
  /** The bound address; the port is the real one when 0 was asked for. */
  readonly address: Address;
  /** Stops accepting, lets requests under way finish for a moment, and breaks what is left. */
  close(): Promise<void>;
}

/** Longest URL and header section of a request in bytes, as the console's. */
export const URL_BYTES_MAX = 8 * 1024;
/** Longest request line and headers in bytes. */
export const HEADER_BYTES_MAX = 16 * 1024;
/** Most connections at once: scrapers and probes are few. */
const CONNECTIONS_MAX = 256;
/** Time for a first byte, and for complete headers. */
const HEADERS_TIMEOUT_MS = 10_000;
/** Time that requests have to finish at {@link HttpPort.close}. */
const CLOSE_GRACE_MS = 1000;

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Where to listen and what to answer. */
export interface HttpPortOptions {
  readonly address: Address;
  readonly routes: HttpRoutes;
  /** Without it, HTTP/2 connections are closed. */
  readonly takeHttp2?: TakeHttp2;
  /** Time for a first byte and for complete headers, 10,000 unless told. */
  readonly headersTimeoutMs?: number;
}

/** Opens the port. @throws Error naming the address when it cannot be bound */
export async function openHttpPort(options: HttpPortOptions): Promise<HttpPort> {
  const { address, routes, takeHttp2, headersTimeoutMs = HEADERS_TIMEOUT_MS } = options;
  const http1 = createHttpServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: headersTimeoutMs,
      requestTimeout: headersTimeoutMs,
      keepAliveTimeout: headersTimeoutMs,
      connectionsCheckingInterval: Math.min(headersTimeoutMs, 1000),
    },
    (request, response) => {
      answer(routes, request, response).catch(() => response.destroy());
    },
  );
  // This server never listens by itself, and only a listening one watches over the time-outs of its connections.
  http1.emit("listening");
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    sniff(socket, headersTimeoutMs, (isHttp2) => {
      if (!isHttp2) http1.emit("connection", socket);
      else if (takeHttp2) takeHttp2(socket);
      else socket.destroy();
    });
  });
  server.maxConnections = CONNECTIONS_MAX;
  const port = await listen(server, address);
  return { address: { host: address.host, port }, close: () => close(server, http1, open) };
}

/** Waits for enough bytes to tell HTTP/2 from HTTP/1.1, puts them back, and says which it is. */
function sniff(socket: Socket, timeoutMs: number, decide: (isHttp2: boolean) => void): void {
  let head: Buffer = Buffer.alloc(0);
  const fail = () => {
    clearTimeout(timer);
    socket.destroy();
  };
  const timer = setTimeout(fail, timeoutMs);
  const onReadable = () => {
    for (let chunk = read(socket); chunk !== null; chunk = read(socket)) {
      head = head.byteLength === 0 ? chunk : Buffer.concat([head, chunk]);
      const size = Math.min(head.byteLength, PREFACE.byteLength);
      const isHttp2 = head.compare(PREFACE, 0, size, 0, size) === 0;
      if (isHttp2 && size < PREFACE.byteLength) continue;
      clearTimeout(timer);
      socket.off("readable", onReadable);
      socket.off("error", fail);
      socket.off("end", fail);
      socket.unshift(head);
      decide(isHttp2);
      if (!isHttp2) socket.resume();
      return;
    }
  };
  socket.on("error", fail);
  socket.on("end", fail);
  socket.on("readable", onReadable);
}

function read(socket: Socket): Buffer | null {
  const chunk: unknown = socket.read();
  return Buffer.isBuffer(chunk) ? chunk : null;
}

async function answer(routes: HttpRoutes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // A body is not read: the connection ends after the answer instead.
  const hasBody = request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
  if (hasBody) response.setHeader("connection", "close");
  const { status, contentType, body } = await chosenAnswer(routes, request);
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": bytes.byteLength,
    "cache-control": "no-store",
    ...(status === 405 ? { allow: "GET, HEAD" } : {}),
  });
  response.end(request.method === "HEAD" ? undefined : bytes);
}

async function chosenAnswer(routes: HttpRoutes, request: IncomingMessage): Promise<HttpAnswer> {
  const url = request.url ?? "";
  if (Buffer.byteLength(url) > URL_BYTES_MAX) return plainAnswer(414, "the URL is too long");
  if (request.method !== "GET" && request.method !== "HEAD") return plainAnswer(405, "only GET and HEAD are answered");
  const [path = ""] = url.split("?", 1);
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (!route) return plainAnswer(404, `there is nothing here; try ${Object.keys(routes).join(", ")}`);
  try {
    return await route();
  } catch {
    return plainAnswer(500, "the answer could not be made");
  }
}

/** A line of text. */
export function plainAnswer(status: number, text: string): HttpAnswer {
  return { status, contentType: "text/plain; charset=utf-8", body: `${text}\n` };
}

function listen(server: NetServer, { host, port }: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) =>
      reject(new Error(`cannot listen on ${host}:${port}: ${error.message}`, { cause: error }));
    server.once("error", onError);
    server.listen({ host, port }, () => {
      server.off("error", onError);
      server.on("error", () => {});
      const bound = server.address();
      invariant(bound !== null && typeof bound === "object", "a bound TCP server has an address");
      resolve(bound.port);
    });
  });
}

function close(server: NetServer, http1: Server, open: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      for (const socket of open) socket.destroy();
    }, CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    http1.close();
    http1.closeIdleConnections();
  });
}
