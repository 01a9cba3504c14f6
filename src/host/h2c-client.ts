// One HTTP/2 connection without TLS to one address: opened by the first request, again by the first after it broke, and
// closed when it is idle for long. Has the shape of connect-node's session manager, whose own one lets an error of a
// connection that it has let go of end the process.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { Address } from "./transport.ts";

/** Without any byte for so long, a connection is closed: shorter than our servers wait. */
const IDLE_TIMEOUT_MS = 60_000;

/** The connection. */
export class H2cClient {
  /** As in a URL. */
  readonly authority: string;
  #opening: Promise<ClientHttp2Session> | null = null;
  #session: ClientHttp2Session | null = null;

  constructor({ host, port }: Address) {
    this.authority = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  }

  /** Opens a stream. Rejects with Node's error of the connection. */
  async request(method: string, path: string, headers: OutgoingHttpHeaders): Promise<ClientHttp2Stream> {
    const session = await this.#open();
    return session.request({ ...headers, ":method": method, ":path": path });
  }

  /** Calls `closed` once when the present connection has ended, soon when there is none. Gives what ends the notice. */
  onClosed(closed: () => void): () => void {
    let isOver = false;
    const tell = () => {
      if (!isOver) closed();
      isOver = true;
    };
    const session = this.#session;
    if (session) session.once("close", tell);
    else queueMicrotask(tell);
    return () => {
      isOver = true;
      session?.off("close", tell);
    };
  }

  /** Asked for by connect-node; silence is found by the deadlines of calls. */
  notifyResponseByteRead(): void {}

  /** Breaks the connection and what is under way on it. The next request opens another one. */
  reset(): void {
    this.#opening = null;
    this.#session?.destroy();
    this.#session = null;
  }

  #open(): Promise<ClientHttp2Session> {
    if (this.#session?.closed || this.#session?.destroyed) this.#forget(this.#session);
    this.#opening ??= this.#connect();
    return this.#opening;
  }

  #connect(): Promise<ClientHttp2Session> {
    const session = connectHttp2(this.authority);
    this.#session = session;
    session.setTimeout(IDLE_TIMEOUT_MS, () => session.destroy());
    // Whoever sent a request is on its way to other connections.
    session.on("goaway", () => this.#forget(session));
    session.on("close", () => this.#forget(session));
    return new Promise((resolve, reject) => {
      session.once("connect", () => resolve(session));
      session.once("close", () => reject(new Error(`the connection to ${this.authority} was closed`)));
      // Stays: there may be several, also after the end.
      session.on("error", (error: Error) => {
        this.#forget(session);
        reject(error);
      });
    });
  }

  #forget(session: ClientHttp2Session): void {
    if (this.#session !== session) return;
    this.#session = null;
    this.#opening = null;
  }
}
