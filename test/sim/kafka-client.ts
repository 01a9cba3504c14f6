// One connection of a Kafka client, speaking the mirror codecs: requests are pipelined, answers are matched in order, a
// request without answer in time breaks the connection, as in Kafka's own clients.
import { apiTable } from "../../generated/kafka/api-table.ts";
import { createRequestHeader, encodeRequestHeader } from "../../generated/testing/request-header.ts";
import { decodeResponseHeader } from "../../generated/testing/response-header.ts";
import { type Clock, DeadlineError } from "../../src/host/clock.ts";
import type { Address, Connection, Transport } from "../../src/host/transport.ts";
import { Reader } from "../../src/wire/reader.ts";
import { Writer } from "../../src/wire/writer.ts";
import { FrameJoiner } from "./frame-joiner.ts";

/** An API at one version, as a client uses it. */
export interface ClientApi<Request, Response> {
  readonly apiKey: number;
  readonly version: number;
  readonly encode: (writer: Writer, message: Request, version: number) => void;
  readonly decode: (reader: Reader, version: number) => Response;
}

/** Where and with what a client connects. */
export interface ClientParts {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly clientId: string;
  readonly requestTimeoutMs: number;
}

/** The connection broke, or was broken because an answer did not come: what was asked may or may not have been done. */
export class DisconnectedError extends Error {
  override readonly name = "DisconnectedError";
}

interface Waiting {
  readonly correlationId: number;
  readonly resolve: (frame: Uint8Array) => void;
  readonly reject: (error: Error) => void;
  readonly cancelTimer: () => void;
}

/** An open connection. */
export class KafkaClient {
  /** Whom it is connected to. */
  readonly address: Address;
  readonly #parts: ClientParts;
  readonly #connection: Connection;
  readonly #waiting: Waiting[] = [];
  #correlationId = 0;
  #isOpen = true;

  private constructor(parts: ClientParts, address: Address, connection: Connection) {
    this.#parts = parts;
    this.address = address;
    this.#connection = connection;
    void this.#read();
  }

  /** Connects, or rejects with {@link DisconnectedError}. */
  static async connect(parts: ClientParts, address: Address): Promise<KafkaClient> {
    const giveUp = new AbortController();
    const cancel = parts.clock.setTimer(parts.requestTimeoutMs, () => giveUp.abort(new DeadlineError("no connection")));
    try {
      return new KafkaClient(parts, address, await parts.transport.connect(address, { signal: giveUp.signal }));
    } catch (error) {
      throw new DisconnectedError("cannot connect", { cause: error });
    } finally {
      cancel();
    }
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sends a request and gives its answer. Requests leave in the order of the calls. */
  request<Request, Response>(
    api: ClientApi<Request, Response>,
    message: Request,
    timeoutMs = this.#parts.requestTimeoutMs,
  ): Promise<Response> {
    const { apiKey, version } = api;
    const correlationId = this.#correlationId++;
    const answered = new Promise<Uint8Array>((resolve, reject) => {
      if (!this.#isOpen) {
        reject(new DisconnectedError("the connection is closed"));
        return;
      }
      const cancelTimer = this.#parts.clock.setTimer(timeoutMs, () => this.close("no answer in time"));
      this.#waiting.push({ correlationId, resolve, reject, cancelTimer });
      this.#send(api, message, correlationId);
    });
    return answered.then((frame) => {
      const reader = new Reader(frame);
      decodeResponseHeader(reader, responseHeaderVersion(apiKey, version));
      return api.decode(reader, version);
    });
  }

  /** Sends a request that gets no answer (Produce with acks 0). */
  tell<Request>(api: ClientApi<Request, unknown>, message: Request): void {
    if (this.#isOpen) this.#send(api, message, this.#correlationId++);
  }

  #send<Request>(api: ClientApi<Request, unknown>, message: Request, correlationId: number): void {
    const { apiKey, version } = api;
    const writer = new Writer();
    writer.reserveInt32();
    const { clientId } = this.#parts;
    const header = createRequestHeader({ requestApiKey: apiKey, requestApiVersion: version, correlationId, clientId });
    encodeRequestHeader(writer, header, requestHeaderVersion(apiKey, version));
    api.encode(writer, message, version);
    // A plain array: `slice` of a Buffer would be a view of it.
    const frame = new Uint8Array(Buffer.concat(writer.finish()));
    new DataView(frame.buffer).setInt32(0, frame.length - 4);
    this.#connection.write([frame]).catch((error: unknown) => this.close("a write failed", error));
  }

  /** Breaks the connection: every request without answer fails. */
  close(why: string, cause?: unknown): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#connection.destroy();
    for (const { reject, cancelTimer } of this.#waiting.splice(0)) {
      cancelTimer();
      reject(new DisconnectedError(why, { cause }));
    }
  }

  async #read(): Promise<void> {
    const joiner = new FrameJoiner();
    try {
      for await (const chunk of this.#connection.chunks()) {
        for (const frame of joiner.push(chunk)) this.#take(frame);
      }
      this.close("the broker closed the connection");
    } catch (error) {
      this.close("the connection broke", error);
    }
  }

  #take(frame: Uint8Array): void {
    const first = this.#waiting.shift();
    const correlationId = new DataView(frame.buffer, frame.byteOffset).getInt32(0);
    if (first?.correlationId !== correlationId) {
      throw new Error(`an answer to request ${correlationId} came where ${first?.correlationId} was next`);
    }
    first.cancelTimer();
    first.resolve(frame);
  }
}

function requestHeaderVersion(apiKey: number, version: number): number {
  const headerVersion = apiTable[apiKey]?.requestHeaderVersions[version];
  if (headerVersion === undefined) throw new Error(`API ${apiKey} has no version ${version}`);
  return headerVersion;
}

function responseHeaderVersion(apiKey: number, version: number): number {
  return apiTable[apiKey]?.responseHeaderVersions[version] ?? 0;
}
