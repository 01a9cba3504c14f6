// Calls of other brokers by gRPC: one HTTP/2 connection a peer, opened at the first call and kept until the peer is gone.
// Every call has a deadline. A refused connection is told apart from everything else, which is "no answer": only a refusal
// says something about the peer.
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { PeerService } from "../../generated/proto/control/broker_pb.ts";
import type { ImageCollection } from "../cluster/image.ts";
import { type PeerCallOptions, type PeerEndpoint, PeerError, type PeerLinks } from "../cluster/peers.ts";
import { type Clock, DeadlineError, withDeadline } from "../host/clock.ts";
import { H2cClient } from "../host/h2c-client.ts";
import type { Revision } from "../kv/key-value-store.ts";

/** A healthy broker answers at once; one that is this slow may be anything but dead. */
const PROBE_TIMEOUT_MS = 1000;
/** One wait; who wants more asks again. */
const IMAGE_WAIT_TIMEOUT_MS = 10_000;
/** A probe under way, and the one that begins after the call. */
const STORE_PROBE_TIMEOUT_MS = 3_500;
const MESSAGE_BYTES_MAX = 64 * 1024;

/** One call. */
interface Call<T> {
  readonly what: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly send: (client: Client<typeof PeerService>, options: PeerCallOptions) => Promise<T>;
}

/** The connection to one process. */
interface PeerLink {
  readonly connection: H2cClient;
  readonly client: Client<typeof PeerService>;
}

function linkTo({ controlHost, controlPort }: PeerEndpoint): PeerLink {
  const connection = new H2cClient({ host: controlHost, port: controlPort });
  const transport = createGrpcTransport({
    baseUrl: connection.authority,
    sessionManager: connection,
    readMaxBytes: MESSAGE_BYTES_MAX,
    writeMaxBytes: MESSAGE_BYTES_MAX,
    acceptCompression: [],
  });
  return { connection, client: createClient(PeerService, transport) };
}

/** The calling side. */
export class ControlClient implements PeerLinks {
  readonly #clock: Clock;
  /** By process: one that has come back at the same address is another peer. */
  readonly #links = new Map<string, PeerLink>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async probe(peer: PeerEndpoint, { signal }: PeerCallOptions): Promise<{ readonly process: string }> {
    const { process } = await this.#call(peer, {
      what: "probe",
      timeoutMs: PROBE_TIMEOUT_MS,
      signal,
      send: (client, options) => client.probe({}, options),
    });
    return { process: Buffer.from(process).toString("hex") };
  }

  async probeStore(peer: PeerEndpoint, { signal }: PeerCallOptions): Promise<boolean> {
    const process = new Uint8Array(Buffer.from(peer.process, "hex"));
    const { isAnswering } = await this.#call(peer, {
      what: "probe of the store",
      timeoutMs: STORE_PROBE_TIMEOUT_MS,
      signal,
      send: (client, options) => client.probeStore({ process }, options),
    });
    return isAnswering;
  }

  async waitForImage(
    peer: PeerEndpoint,
    at: { readonly collection: ImageCollection; readonly revision: Revision },
    { signal }: PeerCallOptions,
  ): Promise<void> {
    const process = new Uint8Array(Buffer.from(peer.process, "hex"));
    const request = { process, at: { case: at.collection, value: BigInt(at.revision) } };
    await this.#call(peer, {
      what: `wait for revision ${at.revision} of ${at.collection}`,
      timeoutMs: IMAGE_WAIT_TIMEOUT_MS,
      signal,
      send: (client, options) => client.waitForImage(request, options),
    });
  }

  onLost(peer: PeerEndpoint, lost: () => void): () => void {
    return this.#linkTo(peer).connection.onClosed(lost);
  }

  keepOnly(peers: Iterable<PeerEndpoint>): void {
    const kept = new Set([...peers].map(({ process }) => process));
    for (const [process, link] of this.#links) {
      if (kept.has(process)) continue;
      this.#links.delete(process);
      link.connection.reset();
    }
  }

  #linkTo(peer: PeerEndpoint): PeerLink {
    const link = this.#links.get(peer.process) ?? linkTo(peer);
    this.#links.set(peer.process, link);
    return link;
  }

  async #call<T>(peer: PeerEndpoint, { what, timeoutMs, signal, send }: Call<T>): Promise<T> {
    const where = `broker ${peer.brokerId} at ${peer.controlHost}:${peer.controlPort}`;
    if (peer.controlPort === 0) throw new PeerError("unavailable", `${where} has no control port`);
    const link = this.#linkTo(peer);
    try {
      return await withDeadline(this.#clock, timeoutMs, what, signal, (call) => send(link.client, { signal: call }));
    } catch (error) {
      signal.throwIfAborted();
      // What went silent, an attempt to connect above all, might stay so for minutes: the next call begins anew.
      if (error instanceof DeadlineError) link.connection.reset();
      throw new PeerError(isRefusal(error) ? "refused" : "unavailable", `${what}: no answer of ${where}`, {
        cause: error,
      });
    }
  }
}

/** Whether nobody listened at any of the addresses of the peer's name. */
function isRefusal(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isRefusal);
  if (!(error instanceof Error)) return false;
  return ("code" in error && error.code === "ECONNREFUSED") || isRefusal(error.cause);
}
