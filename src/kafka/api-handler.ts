// What an API of the Kafka protocol is to this broker: a handler per API key, the request's surroundings and the parts
// of the broker it may use. A handler refuses by answering with a code; it never touches sockets or frames.
import type { ApiMessages } from "../../generated/kafka/api-table.ts";
import type { MetadataImage } from "../cluster/image.ts";
import type { ImageCatchUp } from "../cluster/image-catch-up.ts";
import type { ProducerIds } from "../cluster/producer-ids.ts";
import type { Topics } from "../cluster/topics.ts";
import type { GroupCoordinator } from "../group/group-coordinator.ts";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Metrics } from "../host/metrics.ts";
import type { Random } from "../host/random.ts";
import type { KafkaError } from "../kafka-error.ts";
import type { BrokerLog } from "../log/broker-log.ts";
import type { FetchSessions } from "./fetch-sessions.ts";
import type { KafkaSettings } from "./kafka-settings.ts";

/** A key of the protocol for which codecs exist. */
export type ApiKey = keyof ApiMessages;
/** The decoded body of a request. Its views are valid until the handler's answer has settled. */
export type RequestOf<K extends ApiKey> = ApiMessages[K]["request"];
/** The body of an answer, made with the `create…` constructors of `generated/kafka`. */
export type ResponseOf<K extends ApiKey> = ApiMessages[K]["response"];

/** A row of the ApiVersions answer. */
export interface SupportedApi {
  readonly apiKey: ApiKey;
  readonly name: string;
  readonly minVersion: number;
  readonly maxVersion: number;
}

/** What surrounds one request. */
export interface RequestContext {
  readonly apiKey: ApiKey;
  /** One of the versions the handler advertises. */
  readonly apiVersion: number;
  readonly correlationId: number;
  /** The client's name for itself, at most 255 characters; "" when it sent none. */
  readonly clientId: string;
  /** The peer's address without its port and without Java's leading slash. */
  readonly clientHost: string;
  /** Aborts when the connection ends. A handler that waits ends then; nobody reads its answer. */
  readonly signal: AbortSignal;
  /**
   * Takes up to `bytes` for a large answer out of the broker's memory budget and gives back how many it got, 0 when the
   * budget is spent. What was taken is returned by the connection when the answer has been sent or dropped.
   */
  reserveResponseBytes(bytes: number): number;
  /** Resolves when the budget may have room again or after `waitMs`; rejects when `signal` aborts. */
  waitForResponseBytes(waitMs: number): Promise<void>;
  /**
   * Keeps the request's bytes counted in that budget until `settled` has settled, although it is answered before: for
   * appends whose time is over and whose bytes the log still holds.
   */
  retainRequest(settled: Promise<unknown>): void;
  /** Calls `fire` after `delayMs` or up to 50 ms later, unless the returned function was called before. Costs no timer. */
  setDeadline(delayMs: number, fire: () => void): () => void;
}

/** The parts of the broker that handlers use. Components, made once by the `broker` room. */
export interface BrokerServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly settings: KafkaSettings;
  /** The id under which this broker stands in every answer. */
  readonly brokerId: number;
  /** The newest view of topics, brokers and owners. Immutable; take it once per request. */
  image(): MetadataImage;
  readonly topics: Topics;
  /** What stands between a view that lags and an answer that denies a topic. */
  readonly catchUp: ImageCatchUp;
  readonly producerIds: ProducerIds;
  readonly brokerLog: BrokerLog;
  readonly groups: GroupCoordinator;
  readonly fetchSessions: FetchSessions;
  /** What the ApiVersions answer says, ascending by key: derived from the handlers that exist. */
  readonly supportedApis: readonly SupportedApi[];
}

/** Serves one API key at the versions it names. One file in `apis/` per key; a constant, without state of its own. */
export interface ApiHandler<K extends ApiKey> {
  readonly apiKey: K;
  /** The lowest and highest version served and advertised, both within the union of `schemas`. */
  readonly minVersion: number;
  readonly maxVersion: number;
  /**
   * Whether `image` has every topic that the request names. Where it has not, {@link respond} is called only after the
   * image has caught up: a topic that was just created must not be denied. Without it nothing is waited for.
   */
  knowsTopics?(request: RequestOf<K>, image: MetadataImage): boolean;
  /**
   * Answers a request; null sends no frame at all (Produce with acks 0). Called in arrival order of the connection's
   * requests and never waiting for an earlier one: whatever must happen in arrival order happens before the first await.
   * A thrown {@link KafkaError} becomes `refuse(…)`, a ConnectionEndError closes; any other error is a bug: the
   * connection is closed and the error reported.
   */
  respond(
    request: RequestOf<K>,
    context: RequestContext,
    broker: BrokerServices,
  ): ResponseOf<K> | null | Promise<ResponseOf<K> | null>;
  /** The answer that carries `error` in every place the response has for one. Null closes the connection. */
  refuse(request: RequestOf<K>, error: KafkaError, context: RequestContext): ResponseOf<K> | null;
}

/** A handler of any key, as the dispatcher keeps it. */
export type AnyApiHandler = { [K in ApiKey]: ApiHandler<K> }[ApiKey];
