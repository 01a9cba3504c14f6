// HTTP/2 without TLS for connections that another listener accepted: what gRPC needs. A client has to be quick with its
// first request and with the whole of each, may be idle for minutes, and keeps a bounded number of requests open. Until a
// handler is there, and for bytes that are no HTTP/2, a connection is broken.
import {
  constants,
  createServer,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";

/** Answers one request. */
export type Http2Handler = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

/** Bounds of an {@link H2cServer}. */
export interface H2cLimits {
  /** Time for the first request of a connection, and for all bytes of each request. */
  readonly requestTimeoutMs: number;
  /** Time without any byte in either direction, after which a connection is broken. */
  readonly idleTimeoutMs: number;
}

/** As slow as the port's HTTP/1.1 may be; idle for longer than a client of ours keeps a connection. */
export const defaultH2cLimits: H2cLimits = { requestTimeoutMs: 10_000, idleTimeoutMs: 300_000 };

/** Requests of one connection at the same time. */
const STREAMS_MAX = 100;
/** Bytes of the headers of one request, as on HTTP/1.1; Node itself takes four times as many. */
const HEADER_BYTES_MAX = 16 * 1024;
/** Megabytes, as Node counts them, that one connection may take. */
const SESSION_MEMORY_MB_MAX = 4;

/** The server. It has no port: {@link take} brings it connections. */
export class H2cServer {
  readonly #limits: H2cLimits;
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  #handler: Http2Handler | null = null;
  #isClosing = false;

  constructor(limits: H2cLimits = defaultH2cLimits) {
    this.#limits = limits;
    this.#server = createServer(
      {
        maxSessionMemory: SESSION_MEMORY_MB_MAX,
        settings: { maxConcurrentStreams: STREAMS_MAX, enablePush: false },
      },
      (request, response) => this.#answer(request, response),
    );
    this.#server.on("session", (session) => this.#watch(session));
  }

  /** From now on connections are taken, and `handler` answers. */
  serve(handler: Http2Handler): void {
    this.#handler = handler;
  }

  /** Takes a connection that began with the preface of HTTP/2, which has to be unread. */
  take(socket: Socket): void {
    if (this.#handler === null || this.#isClosing) socket.destroy();
    else this.#server.emit("connection", socket);
  }

  /** Tells every client to go: what is under way may end, nothing new is taken. Resolves when all are gone. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all(
      [...this.#sessions].map(
        (session) =>
          new Promise<void>((resolve) => {
            session.once("close", resolve);
            session.close();
          }),
      ),
    );
  }

  #answer(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const headerBytes = request.rawHeaders.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    if (this.#handler && headerBytes <= HEADER_BYTES_MAX) this.#handler(request, response);
    else response.writeHead(431).end();
  }

  #watch(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    const { requestTimeoutMs, idleTimeoutMs } = this.#limits;
    const giveUp = setTimeout(() => session.destroy(), requestTimeoutMs);
    session.setTimeout(idleTimeoutMs, () => session.destroy());
    // The session breaks by itself, and its requests learn it: there is nothing to add.
    session.on("error", () => {});
    session.on("stream", (stream: ServerHttp2Stream) => {
      clearTimeout(giveUp);
      this.#limitRequest(stream);
    });
    // Somebody who ends its side will read no answer.
    session.socket.once("end", () => session.destroy());
    session.once("close", () => {
      clearTimeout(giveUp);
      this.#sessions.delete(session);
    });
  }

  #limitRequest(stream: ServerHttp2Stream): void {
    const giveUp = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), this.#limits.requestTimeoutMs);
    const done = () => clearTimeout(giveUp);
    stream.once("end", done);
    stream.once("close", done);
    stream.on("error", done);
  }
}
