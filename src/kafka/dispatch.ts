// From a frame to a handler and from its answer to a frame. Refuses by ending the connection what Kafka has no answer
// for: an unknown API key, a version that is not served (ApiVersions excepted), a request that cannot be read.
import { type ApiEntry, apiTable } from "../../generated/kafka/api-table.ts";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { Counter } from "../host/metrics.ts";
import { invariant } from "../invariant.ts";
import { KafkaError } from "../kafka-error.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { Reader } from "../wire/reader.ts";
import { Writer } from "../wire/writer.ts";
import type { Answer } from "./answer-queue.ts";
import type {
  AnyApiHandler,
  ApiHandler,
  ApiKey,
  BrokerServices,
  RequestContext,
  RequestOf,
  ResponseOf,
} from "./api-handler.ts";
import { unknownApiVersionsVersion } from "./apis/18-api-versions.ts";
import type { Peer } from "./connection.ts";
import { ConnectionEndError } from "./connection-end.ts";
import { Deadlines } from "./deadlines.ts";
import { type RequestOrigin, readOrigin, readRoute } from "./request.ts";

const API_VERSIONS_KEY = 18;
const CONTROL_CHARACTERS = /\p{Cc}/u;

/** A handler with the codecs and counters of its key. */
interface Route {
  readonly handler: ApiHandler<ApiKey>;
  readonly entry: ApiEntry;
  readonly requests: Counter;
}

/** Sends each request to the handler of its key. One per broker. */
export class Dispatcher {
  readonly #routes: (Route | undefined)[] = [];
  readonly #broker: BrokerServices;
  readonly #reader = new Reader(new Uint8Array(0));
  readonly #writer = new Writer();
  readonly #setDeadline: RequestContext["setDeadline"];
  /** By the signal of a connection, until its last request that waited for the view has started. */
  readonly #held = new Map<AbortSignal, Promise<void>>();

  constructor(handlers: readonly AnyApiHandler[], broker: BrokerServices) {
    this.#broker = broker;
    this.#reader.elementsMax = broker.settings.requestElementsMax;
    const deadlines = new Deadlines(broker.clock);
    this.#setDeadline = (delayMs, fire) => deadlines.set(delayMs, fire);
    for (const handler of handlers) {
      const entry = apiTable[handler.apiKey];
      invariant(entry, `there are no codecs for API key ${handler.apiKey}`);
      const help = "Requests that were read, by API.";
      const requests = broker.metrics.counter("kafscale_requests_total", help, { api: entry.name });
      // Each handler gets the request of its own key only: the table is indexed by that key.
      this.#routes[handler.apiKey] = { handler: handler as unknown as ApiHandler<ApiKey>, entry, requests };
    }
  }

  /**
   * Serves one request: its handler runs, up to its first wait, before this returns. Rejects with
   * {@link ConnectionEndError} when the connection has to end, with anything else for a bug.
   */
  start(frame: Uint8Array, peer: Peer): Promise<Answer | null> {
    let started: StartedRequest | "unknown ApiVersions version";
    try {
      started = this.#read(frame, peer);
      if (started === "unknown ApiVersions version") return Promise.resolve(this.#answerUnknownVersion(frame));
    } catch (error) {
      return Promise.reject(endOfUnreadable(error));
    }
    return this.#respond(started);
  }

  /** Not an async function: each promise shows in the profile of small produces. */
  #respond(started: StartedRequest): Promise<Answer | null> {
    const { route, context, request } = started;
    route.requests.value += 1;
    const encode = (response: ResponseOf<ApiKey> | null) => response && this.#encode(route.entry, context, response);
    const refuse = (error: unknown) => encode(refusal(started, error));
    let response: Promise<ResponseOf<ApiKey> | null>;
    try {
      this.#checkClientId(context.clientId);
      const isHeld = this.#held.size > 0 && this.#held.has(context.signal);
      response =
        !isHeld && this.#knowsTopics(started)
          ? Promise.resolve(route.handler.respond(request, context, this.#broker))
          : this.#respondLater(started);
    } catch (error) {
      response = Promise.reject(error);
    }
    return response.then(encode, refuse);
  }

  #knowsTopics({ route, request }: StartedRequest, image = this.#broker.image()): boolean {
    return route.handler.knowsTopics?.(request, image) ?? true;
  }

  /** Requests of one connection start in the order of their arrival: who comes behind one that waits, waits with it. */
  #respondLater(started: StartedRequest): Promise<ResponseOf<ApiKey> | null> {
    const { route, context, request } = started;
    const { signal } = context;
    const known = this.#knowsTopics(started)
      ? undefined
      : this.#broker.catchUp.topics((image) => this.#knowsTopics(started, image), { signal });
    const turn = Promise.all([this.#held.get(signal), known]);
    const response = turn.then(() => route.handler.respond(request, context, this.#broker));
    // After the line above, so that this request has started when the next one is let in.
    const held = turn
      .catch(() => {})
      .then(() => {
        if (this.#held.get(signal) === held) this.#held.delete(signal);
      });
    this.#held.set(signal, held);
    return response;
  }

  #read(frame: Uint8Array, peer: Peer): "unknown ApiVersions version" | StartedRequest {
    const reader = this.#reader.reset(frame);
    const { apiKey, apiVersion } = readRoute(reader);
    const route = this.#routes[apiKey];
    if (!route) throw new ConnectionEndError("unknown api key", `API key ${apiKey} is not served`);
    const { handler, entry } = route;
    if (apiVersion < handler.minVersion || apiVersion > handler.maxVersion) {
      if (apiKey === API_VERSIONS_KEY) return "unknown ApiVersions version";
      throw new ConnectionEndError("unsupported version", `${entry.name} version ${apiVersion} is not served`);
    }
    const origin = readOrigin(reader, entry.requestHeaderVersions[apiVersion] as number);
    const request = entry.decodeRequest[apiVersion]?.(reader) as RequestOf<ApiKey>;
    return {
      route,
      request,
      context: this.#contextOf({ apiKey: apiKey as ApiKey, apiVersion }, origin, peer),
    };
  }

  #contextOf(route: Pick<RequestContext, "apiKey" | "apiVersion">, origin: RequestOrigin, peer: Peer): RequestContext {
    return new StartedContext(route, origin, { peer, setDeadline: this.#setDeadline });
  }

  #checkClientId(clientId: string): void {
    const { clientIdCharactersMax } = this.#broker.settings;
    if (clientId.length <= clientIdCharactersMax && !CONTROL_CHARACTERS.test(clientId)) return;
    const text = `a client id of ${clientId.length} characters is longer than ${clientIdCharactersMax} or has control ones`;
    throw new KafkaError(ErrorCode.INVALID_REQUEST, text);
  }

  /** KIP-511: a client that is newer than this broker learns the versions from an answer of version 0. */
  #answerUnknownVersion(frame: Uint8Array): Answer {
    const reader = this.#reader.reset(frame);
    readRoute(reader);
    const { correlationId } = readOrigin(reader, 0);
    const entry = apiTable[API_VERSIONS_KEY];
    invariant(entry, "there are no codecs for ApiVersions");
    const response = unknownApiVersionsVersion(this.#broker.supportedApis);
    return this.#encode(entry, { apiVersion: 0, correlationId }, response);
  }

  #encode(entry: ApiEntry, to: Pick<RequestContext, "apiVersion" | "correlationId">, response: unknown): Answer {
    const writer = this.#writer;
    try {
      const sizeMark = writer.reserveInt32();
      writer.int32(to.correlationId);
      if (entry.responseHeaderVersions[to.apiVersion] === 1) writer.unknownTags(null);
      entry.encodeResponse[to.apiVersion]?.(writer, response as never);
      const bytes = writer.size;
      writer.patchInt32(sizeMark, bytes - 4);
      return { parts: writer.finish(), bytes };
    } catch (error) {
      writer.discard();
      throw error;
    }
  }
}

/** A class rather than an object of closures: one is made for every request. */
class StartedContext implements RequestContext {
  readonly apiKey: ApiKey;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string;
  readonly setDeadline: RequestContext["setDeadline"];
  readonly #peer: Peer;

  constructor(
    route: Pick<RequestContext, "apiKey" | "apiVersion">,
    origin: RequestOrigin,
    { peer, setDeadline }: { peer: Peer; setDeadline: RequestContext["setDeadline"] },
  ) {
    this.apiKey = route.apiKey;
    this.apiVersion = route.apiVersion;
    this.correlationId = origin.correlationId;
    this.clientId = origin.clientId;
    this.setDeadline = setDeadline;
    this.#peer = peer;
  }

  get clientHost(): string {
    return this.#peer.clientHost;
  }

  get signal(): AbortSignal {
    return this.#peer.signal;
  }

  reserveResponseBytes(bytes: number): number {
    return this.#peer.reserveResponseBytes(bytes);
  }

  waitForResponseBytes(waitMs: number): Promise<void> {
    return this.#peer.waitForResponseBytes(waitMs);
  }

  retainRequest(settled: Promise<unknown>): void {
    this.#peer.retainRequest(settled);
  }
}

interface StartedRequest {
  readonly route: Route;
  readonly request: RequestOf<ApiKey>;
  readonly context: RequestContext;
}

/** The answer to a request whose handler threw; throws what ends the connection. */
function refusal({ route, request, context }: StartedRequest, error: unknown): ResponseOf<ApiKey> {
  if (!(error instanceof KafkaError)) throw error;
  const response = route.handler.refuse(request, error, context);
  if (response === null) throw new ConnectionEndError("refused", error.message, { cause: error });
  return response;
}

/** What a request that cannot be read ends its connection with; anything else stays what it is. */
function endOfUnreadable(error: unknown): unknown {
  if (!(error instanceof DecodeError)) return error;
  return new ConnectionEndError("unreadable request", error.message, { cause: error });
}
