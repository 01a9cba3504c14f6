// A TCP proxy that harms what passes: answers that never arrive, a network that goes silent or slow, connections that are
// cut or refused. It counts what it harmed, so that a test can tell a fault that happened from one that did not. It can
// stand for its target: while nothing listens there, nothing listens here.
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * What happens to bytes and connections.
 * - `pass`: nothing.
 * - `lose-answers`: requests arrive, their answers do not.
 * - `black-hole`: nothing arrives anywhere, and nobody is told. New connections are taken and lead nowhere. When it is
 *   over, what was sent arrives late, as from a network that comes back.
 * - `refuse`: connections are reset, and no new ones are taken.
 */
export type FaultMode = "pass" | "lose-answers" | "black-hole" | "refuse";

/** Where a proxy listens, and whom it stands for. */
export interface FaultProxyOptions {
  /** An address of the loopback net. */
  readonly host?: string;
  /** Any free one without it. */
  readonly port?: number;
  /** While nothing listens at this port of 127.0.0.1, the proxy takes no connections either. */
  readonly standsForPort?: number;
}

const TARGET_LOOK_MS = 25;

/** What is done later, in order. */
interface Step {
  readonly dueMs: number;
  readonly act: () => void;
}

/** One direction of a connection: what came, in the order in which it goes on. */
class Flow {
  readonly #steps: Step[] = [];
  readonly #isHeld: () => boolean;
  #timer: NodeJS.Timeout | undefined;

  constructor(isHeld: () => boolean) {
    this.#isHeld = isHeld;
  }

  add(act: () => void, delayMs: number): void {
    this.#steps.push({ dueMs: performance.now() + delayMs, act });
    this.drain();
  }

  drain(): void {
    clearTimeout(this.#timer);
    for (;;) {
      const [step] = this.#steps;
      if (!step || this.#isHeld()) return;
      const leftMs = step.dueMs - performance.now();
      if (leftMs > 0) {
        this.#timer = setTimeout(() => this.drain(), leftMs);
        return;
      }
      this.#steps.shift();
      step.act();
    }
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#steps.length = 0;
  }
}

/** A proxy on a loopback port. */
export class FaultProxy {
  /** Each piece goes on this much later. */
  delayMs = 0;
  /** Pieces of a stream that were thrown away, held back or late, and connections that were reset. */
  harmedCount = 0;
  readonly #targetPort: number;
  readonly #host: string;
  readonly #standsForPort: number | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #flows = new Set<Flow>();
  #mode: FaultMode = "pass";
  #port: number;
  #server: Server | undefined;
  #isClosed = false;
  #isLooking = false;

  private constructor(targetPort: number, { host = "127.0.0.1", port = 0, standsForPort }: FaultProxyOptions) {
    this.#targetPort = targetPort;
    this.#host = host;
    this.#port = port;
    this.#standsForPort = standsForPort;
  }

  /** Opens a proxy to a port of this machine. */
  static async open(targetPort: number, options: FaultProxyOptions = {}): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort, options);
    await proxy.#listen();
    proxy.#lookForTarget();
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  get mode(): FaultMode {
    return this.#mode;
  }

  /** Takes effect on bytes that arrive from now on, on old and new connections. */
  set mode(mode: FaultMode) {
    if (mode === this.#mode) return;
    this.#mode = mode;
    if (mode === "refuse") this.#refuse();
    else if (!this.#server && !this.#isLooking) void this.#listen();
    for (const flow of this.#flows) flow.drain();
  }

  /** Resets every connection. */
  cut(): void {
    for (const socket of this.#sockets) {
      this.harmedCount++;
      socket.resetAndDestroy();
    }
    for (const flow of this.#flows) flow.drop();
    this.#flows.clear();
  }

  /** Cuts every connection and takes no more. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#refuse();
    return Promise.resolve();
  }

  #refuse(): void {
    this.#server?.close();
    this.#server = undefined;
    this.cut();
  }

  async #listen(): Promise<void> {
    const server = createServer((client) => this.#join(client, connect(this.#targetPort, "127.0.0.1")));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, this.#host, resolve);
    });
    const address = server.address();
    if (typeof address === "object" && address) this.#port = address.port;
  }

  #join(client: Socket, target: Socket): void {
    this.#forward(client, target, false);
    this.#forward(target, client, true);
    target.on("close", () => this.#lookForTarget());
  }

  #forward(from: Socket, to: Socket, isAnswer: boolean): void {
    const flow = new Flow(() => this.#mode === "black-hole");
    const isLost = () => isAnswer && this.#mode === "lose-answers";
    this.#flows.add(flow);
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on("data", (piece) => {
      if (this.#mode !== "pass" || this.delayMs > 0) this.harmedCount++;
      if (!isLost()) flow.add(() => to.write(piece), this.delayMs);
    });
    // An end that nobody hears of is a part of the black hole.
    from.on("end", () => {
      if (!isLost()) flow.add(() => to.end(), this.delayMs);
    });
    from.on("error", () => {});
    from.on("close", () => {
      this.#sockets.delete(from);
      const leave = () => {
        this.#flows.delete(flow);
        to.destroy();
      };
      flow.add(leave, this.delayMs);
    });
  }

  /** Stops to listen while the target does not, and looks when it does again. */
  #lookForTarget(): void {
    if (this.#standsForPort === undefined || this.#isLooking || this.#isClosed) return;
    this.#isLooking = true;
    const probe = connect(this.#standsForPort, "127.0.0.1");
    probe.on("connect", () => {
      probe.destroy();
      this.#isLooking = false;
      if (!this.#server && !this.#isClosed && this.#mode !== "refuse") void this.#listen();
    });
    probe.on("error", () => {
      this.#server?.close();
      this.#server = undefined;
      setTimeout(() => {
        this.#isLooking = false;
        this.#lookForTarget();
      }, TARGET_LOOK_MS);
    });
  }
}
