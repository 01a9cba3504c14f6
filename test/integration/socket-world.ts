// A whole broker on memory stores behind a real TCP listener, in this process: what the tests of bad input share. Its
// limits can be set low where the default is too large to be reached in a test; defaults are in force where not.
import { Broker } from "../../src/broker/broker.ts";
import { embeddedBrokerSettings } from "../../src/broker/broker-settings.ts";
import { defaultGroupSettings, type GroupSettings } from "../../src/group/group-settings.ts";
import type { Clock } from "../../src/host/clock.ts";
import { silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { SystemRandom } from "../../src/host/system-random.ts";
import { TcpTransport } from "../../src/host/tcp-transport.ts";
import { defaultKafkaSettings, type KafkaSettings } from "../../src/kafka/kafka-settings.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { apis } from "../kafka/broker-world.ts";
import type { ClientApi } from "../sim/kafka-client.ts";
import { answerOf, frameOf } from "./framed-request.ts";
import { RawSocket } from "./raw-socket.ts";

/** Metrics whose gauges can be read too. */
class ReadableMetrics extends UnexportedMetrics {
  readonly gauges = new Map<string, () => number>();

  override gauge(name?: string, _help?: string, read?: () => number): void {
    if (name !== undefined && read !== undefined) this.gauges.set(name, read);
  }
}

/** What differs from the defaults. */
export interface WorldOptions {
  readonly kafka?: Partial<KafkaSettings>;
  readonly group?: Partial<GroupSettings>;
  readonly requestBudgetBytes?: number;
  readonly clock?: Clock;
}

/** Tests open connections as fast as they can; the tests of the pace itself set it back. */
const anyPace = { acceptsPerSecondMax: 1_000_000, acceptsPerSecondPerAddressMax: 1_000_000 };

/** A broker with id 0 on a loopback port of its own. */
export class SocketWorld {
  readonly metrics = new ReadableMetrics();
  readonly clock: Clock;
  readonly #dialled = new Set<RawSocket>();
  #broker: Broker | undefined;

  private constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Starts a broker. */
  static async start(options: WorldOptions = {}): Promise<SocketWorld> {
    const clock = options.clock ?? new SystemClock();
    const world = new SocketWorld(clock);
    world.#broker = await Broker.start(
      {
        ...embeddedBrokerSettings,
        requestBudgetBytes: options.requestBudgetBytes ?? embeddedBrokerSettings.requestBudgetBytes,
        stopGraceMs: 0,
        listener: { host: "127.0.0.1", port: 0 },
        advertised: { host: "127.0.0.1", port: 0 },
        kafka: { ...defaultKafkaSettings, ...anyPace, ...options.kafka },
        group: { ...defaultGroupSettings, ...options.group },
      },
      {
        clock,
        random: new SystemRandom(),
        log: silentLog,
        metrics: world.metrics,
        transport: new TcpTransport(),
        store: new MemoryObjectStore(),
        kv: new MemoryKeyValueStore({ clock }),
      },
      { signal: new AbortController().signal },
    );
    return world;
  }

  get broker(): Broker {
    if (!this.#broker) throw new Error("the broker did not start");
    return this.#broker;
  }

  /** Ends every connection and the broker. */
  async stop(): Promise<void> {
    for (const socket of this.#dialled) socket.destroy();
    await this.broker.stop();
  }

  /** A connection for arbitrary bytes. */
  async dial(localAddress?: string): Promise<RawSocket> {
    const socket = await RawSocket.open(this.broker.address, localAddress);
    this.#dialled.add(socket);
    return socket;
  }

  /** A connection that speaks the protocol. */
  async connect(clientId = "tests"): Promise<SocketClient> {
    return new SocketClient(await this.dial(), clientId);
  }

  /** How often connections ended for `reason`. */
  endedCount(reason: string): number {
    return this.metrics.counter("kafscale_connections_ended_total", "", { reason }).value;
  }

  /** How many requests of an API were started. */
  requestCount(api: string): number {
    return this.metrics.counter("kafscale_requests_total", "", { api }).value;
  }

  /** The value of a gauge now. */
  gauge(name: string): number {
    const read = this.metrics.gauges.get(name);
    if (!read) throw new Error(`there is no gauge ${name}`);
    return read();
  }

  /** Resolves when `isTrue` holds, looked at in every turn of the loop. It is the test's own limit that ends it. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await turn();
  }
}

/** One turn of the event loop: sockets were looked at, and what they woke has run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A connection whose calls are typed by the mirror codecs. */
export class SocketClient {
  readonly socket: RawSocket;
  readonly #clientId: string;
  #correlationId = 0;

  constructor(socket: RawSocket, clientId: string) {
    this.socket = socket;
    this.#clientId = clientId;
  }

  /** Whether the broker has not ended the connection. */
  get isOpen(): boolean {
    return !this.socket.isClosed;
  }

  /** Sends a request and gives its answer. Rejects when the connection ends instead. Calls may overlap. */
  async call<Request, Response>(
    api: Omit<ClientApi<Request, Response>, "version">,
    version: number,
    message: Request,
  ): Promise<Response> {
    const correlationId = this.#correlationId++;
    void this.socket.send(frameOf(api, version, message, { correlationId, clientId: this.#clientId }));
    const answer = answerOf(api, version, await this.socket.frame(correlationId));
    if (answer.correlationId === correlationId) return answer.response;
    throw new Error(`the answer at place ${correlationId} is for request ${answer.correlationId}`);
  }

  /** The code of one CreateTopics for one topic, which exists afterwards when it is 0. */
  async createTopic(name: string, partitions = 1, configs: Readonly<Record<string, string>> = {}): Promise<number> {
    const answer = await this.call(apis.createTopics, 7, {
      topics: [
        {
          name,
          numPartitions: partitions,
          replicationFactor: 1,
          assignments: [],
          configs: Object.entries(configs).map(([key, value]) => ({ name: key, value, unknownTags: null })),
          unknownTags: null,
        },
      ],
      timeoutMs: 30_000,
      validateOnly: false,
      unknownTags: null,
    });
    return answer.topics[0]?.errorCode ?? -1;
  }
}
