// A network in memory, in virtual time. Streams are delayed, cut into other pieces, stalled, reset and half-open, and
// never reordered within themselves. Each life of a node gets a `SimTransport` of its own, with its host name and clock.

import type { Clock } from "../../src/host/clock.ts";
import type { Address, Connection, Listener, Transport } from "../../src/host/transport.ts";
import type { SimClock } from "./sim-clock.ts";
import { type Link, SimConnection } from "./sim-connection.ts";
import type { SimRandom } from "./sim-random.ts";

/** Nobody listens at the address. */
export class ConnectionRefusedError extends Error {
  override readonly name = "ConnectionRefusedError";
}

/** How the network behaves. */
export interface SimNetworkOptions {
  readonly world: SimClock;
  readonly random: SimRandom;
  /** One way, drawn evenly for each write; 0.1 to 5 ms unless told. */
  readonly latencyMs?: readonly [number, number];
  /** Bytes that a direction of a connection holds before its writer has to wait; 256 KiB unless told. */
  readonly windowBytes?: number;
  /** Chance that a write resets its connection. */
  readonly resetRate?: number;
}

/** Time between two attempts to connect over a link that is cut. */
const CONNECT_RETRY_MS = 1000;
/** Ports that are given out when 0 is asked for. */
const FIRST_FREE_PORT = 40_000;

interface Listening {
  readonly node: SimTransport;
  readonly accept: (connection: Connection) => void;
}

/** The network of a simulated world. */
export class SimNetwork {
  readonly world: SimClock;
  readonly random: SimRandom;
  readonly windowBytes: number;
  resetRate: number;
  /** What happened so far. */
  readonly counts = { connections: 0, refusals: 0, writes: 0, resets: 0, cuts: 0 };
  readonly #latencyMs: readonly [number, number];
  readonly #listening = new Map<string, Listening>();
  readonly #cuts = new Set<string>();
  readonly #connections = new Set<SimConnection>();
  #nextPort = FIRST_FREE_PORT;

  constructor({ world, random, latencyMs = [0.1, 5], windowBytes = 256 * 1024, resetRate = 0 }: SimNetworkOptions) {
    this.world = world;
    this.random = random;
    this.windowBytes = windowBytes;
    this.resetRate = resetRate;
    this.#latencyMs = latencyMs;
  }

  /** The network as the node `host` sees it, in the life whose clock is given. */
  transport(host: string, clock: Clock = this.world): SimTransport {
    return new SimTransport(this, host, clock);
  }

  /** Lets nothing through between two hosts, without telling either: connections stall, and go on after {@link heal}. */
  cut(left: string, right: string): void {
    this.counts.cuts++;
    this.#cuts.add(linkName(left, right));
  }

  /** Undoes a cut. */
  heal(left: string, right: string): void {
    if (!this.#cuts.delete(linkName(left, right))) return;
    for (const connection of this.#between(left, right)) connection.release();
  }

  /** Breaks every connection between two hosts, on both sides. */
  reset(left: string, right: string): void {
    for (const connection of this.#between(left, right)) {
      this.counts.resets++;
      connection.reset();
    }
  }

  /**
   * Ends one life of a host. Its listeners are gone, and its peers see resets, as when a process is killed; or, with
   * `isSilent`, nothing at all, as when its machine loses power.
   */
  kill(node: SimTransport, { isSilent = false }: { readonly isSilent?: boolean } = {}): void {
    for (const [address, listening] of this.#listening) {
      if (listening.node === node) this.#listening.delete(address);
    }
    for (const connection of [...this.#connections]) {
      if (connection.owner !== node) continue;
      this.#connections.delete(connection);
      if (isSilent) connection.peer.loseSight();
      else connection.peer.reset();
    }
  }

  isCut(left: string, right: string): boolean {
    return this.#cuts.has(linkName(left, right));
  }

  /** One way's delay. */
  latency(): number {
    return this.random.between(...this.#latencyMs);
  }

  /** Used by {@link SimTransport}. */
  bind(node: SimTransport, port: number, accept: (connection: Connection) => void): number {
    const bound = port === 0 ? this.#nextPort++ : port;
    const address = `${node.host}:${bound}`;
    if (this.#listening.has(address)) throw new Error(`cannot listen on ${address}: the address is in use`);
    this.#listening.set(address, { node, accept });
    return bound;
  }

  /** Used by {@link SimTransport}. */
  unbind(node: SimTransport, port: number): void {
    this.#listening.delete(`${node.host}:${port}`);
  }

  /** Used by {@link SimTransport}: makes both ends, or nothing when nobody listens. */
  open(client: SimTransport, { host, port }: Address): Connection | undefined {
    const listening = this.#listening.get(`${host}:${port}`);
    if (!listening) {
      this.counts.refusals++;
      return undefined;
    }
    this.counts.connections++;
    const server = listening.node;
    const link: Link = { network: this, forget: (connection) => this.#connections.delete(connection) };
    const near = new SimConnection(link, client, { host, port });
    const far = new SimConnection(link, server, { host: client.host, port: this.#nextPort++ });
    near.peer = far;
    far.peer = near;
    this.#connections.add(near).add(far);
    server.clock.setTimer(0, () => listening.accept(far));
    return near;
  }

  /** Connections that are open on at least one side. */
  get openCount(): number {
    return this.#connections.size;
  }

  #between(left: string, right: string): SimConnection[] {
    return [...this.#connections].filter(
      ({ owner, peer }) => linkName(owner.host, peer.owner.host) === linkName(left, right),
    );
  }
}

/** The network as one life of a node sees it. */
export class SimTransport implements Transport {
  readonly host: string;
  readonly clock: Clock;
  readonly #network: SimNetwork;

  constructor(network: SimNetwork, host: string, clock: Clock) {
    this.#network = network;
    this.host = host;
    this.clock = clock;
  }

  /** Listens at this node, whatever the address says of the host. */
  listen(address: Address, accept: (connection: Connection) => void): Promise<Listener> {
    try {
      const port = this.#network.bind(this, address.port, accept);
      return Promise.resolve({
        address: { host: this.host, port },
        close: () => Promise.resolve(this.#network.unbind(this, port)),
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  connect(address: Address, { signal }: { signal: AbortSignal }): Promise<Connection> {
    const network = this.#network;
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      let cancel = () => {};
      const onAbort = () => {
        cancel();
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      const attempt = () => {
        if (network.isCut(this.host, address.host)) {
          cancel = this.clock.setTimer(CONNECT_RETRY_MS, attempt);
          return;
        }
        signal.removeEventListener("abort", onAbort);
        const connection = network.open(this, address);
        if (connection) resolve(connection);
        else reject(new ConnectionRefusedError(`cannot connect to ${address.host}:${address.port}`));
      };
      cancel = this.clock.setTimer(network.latency() + network.latency(), attempt);
    });
  }
}

function linkName(left: string, right: string): string {
  return left < right ? `${left} ${right}` : `${right} ${left}`;
}
