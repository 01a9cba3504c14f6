// The Kafka listener: accepts connections within the limits and serves each on its own. A connection past a limit is
// closed, at once or (when connections come too fast) after a pause that slows the peer down.
import type { ByteBudget } from "../host/byte-budget.ts";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Counter, Metrics } from "../host/metrics.ts";
import { TaskGroup } from "../host/tasks.ts";
import type { Address, Connection, Listener, Transport } from "../host/transport.ts";
import { AcceptRate } from "./accept-rate.ts";
import { ClientConnection, type ConnectionParts, type StartRequest } from "./connection.ts";
import { type EndReason, endReasons } from "./connection-end.ts";
import type { KafkaSettings } from "./kafka-settings.ts";
import { ReadTurns } from "./read-turns.ts";

/** What a listener is made of. */
export interface KafkaServerParts {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly settings: KafkaSettings;
  /** Bytes of requests and answers that all connections together may hold. */
  readonly budget: ByteBudget;
  readonly start: StartRequest;
  /** Hears of failures that are bugs. The connection they happened on is closed already. */
  readonly onBug: (error: unknown) => void;
}

/** One bound address and the connections accepted on it. */
export class KafkaServer {
  readonly #parts: KafkaServerParts;
  readonly #listener: Listener;
  readonly #tasks: TaskGroup;
  readonly #rate: AcceptRate;
  readonly #shared: ConnectionParts;
  readonly #ended: ReadonlyMap<EndReason, Counter>;
  readonly #connections = new Set<ClientConnection>();
  readonly #countByHost = new Map<string, number>();
  /** Open sockets: those that are served and those that wait to be closed. */
  #openCount = 0;
  #isClosing = false;

  private constructor(parts: KafkaServerParts, listener: Listener) {
    const { clock, log, settings, budget, start, metrics } = parts;
    this.#parts = parts;
    this.#tasks = new TaskGroup(log, (_name, error) => parts.onBug(error));
    this.#rate = new AcceptRate(clock, settings);
    const help = "Connections that ended, by reason.";
    this.#ended = new Map(
      endReasons.map((reason) => [reason, metrics.counter("kafscale_connections_ended_total", help, { reason })]),
    );
    metrics.gauge("kafscale_connections", "Open client connections.", () => this.#openCount);
    metrics.gauge("kafscale_request_budget_used_bytes", "Bytes of requests and answers in memory.", () => budget.taken);
    this.#shared = {
      clock,
      log,
      settings,
      budget,
      turns: new ReadTurns(budget, clock),
      start,
      ended: (reason) => this.#count(reason),
      onBug: parts.onBug,
    };
    this.#listener = listener;
  }

  /** Binds `address` and serves from then on. @throws Error naming the address when it cannot be bound */
  static async listen(parts: KafkaServerParts, address: Address): Promise<KafkaServer> {
    let server: KafkaServer | undefined;
    const listener = await parts.transport.listen(address, (stream) => {
      if (server) server.#accept(stream);
      else stream.destroy();
    });
    server = new KafkaServer(parts, listener);
    return server;
  }

  /** The bound address. */
  get address(): Address {
    return this.#listener.address;
  }

  /** Connections that are being served. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Accepts nothing more and reads no further request; what was asked for is answered for at most `graceMs`, then every
   * connection is closed. Resolves when nothing of the listener runs any more.
   */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    await this.#listener.close();
    for (const connection of [...this.#connections]) connection.finish();
    const cancel = this.#parts.clock.setTimer(graceMs, () => {
      for (const connection of [...this.#connections]) connection.stop();
    });
    await this.#tasks.stop();
    cancel();
  }

  #count(reason: EndReason): void {
    const counter = this.#ended.get(reason);
    if (counter) counter.value += 1;
  }

  #accept(stream: Connection): void {
    const { settings } = this.#parts;
    const { host } = stream.remote;
    const fromHost = this.#countByHost.get(host) ?? 0;
    if (
      this.#isClosing ||
      this.#openCount >= settings.connectionsMax ||
      fromHost >= settings.connectionsPerAddressMax
    ) {
      this.#count("limit");
      stream.destroy();
      return;
    }
    this.#openCount += 1;
    this.#countByHost.set(host, fromHost + 1);
    if (this.#rate.admit(host)) this.#serve(stream);
    else this.#closeLater(stream);
  }

  #serve(stream: Connection): void {
    const connection = new ClientConnection(stream, this.#shared);
    this.#connections.add(connection);
    this.#tasks.spawn("client connection", async () => {
      await connection.run();
      this.#connections.delete(connection);
      this.#forget(stream);
    });
  }

  #closeLater(stream: Connection): void {
    const { clock, settings } = this.#parts;
    this.#tasks.spawn("delayed close", async (signal) => {
      await new Promise<void>((resolve) => {
        const cancel = clock.setTimer(settings.acceptDelayMs, resolve);
        signal.addEventListener("abort", () => (cancel(), resolve()), { once: true });
      });
      this.#count("limit");
      stream.destroy();
      this.#forget(stream);
    });
  }

  #forget(stream: Connection): void {
    const { host } = stream.remote;
    this.#openCount -= 1;
    const rest = (this.#countByHost.get(host) ?? 1) - 1;
    if (rest === 0) this.#countByHost.delete(host);
    else this.#countByHost.set(host, rest);
  }
}
