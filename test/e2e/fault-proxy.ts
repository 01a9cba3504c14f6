// A TCP proxy that harms what passes: answers that never arrive, a network that goes silent, connections that are cut. It
// counts what it harmed, so that a test can tell a fault that happened from one that did not.
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * What happens to bytes.
 * - `pass`: nothing.
 * - `lose-answers`: requests arrive, their answers do not.
 * - `black-hole`: nothing arrives anywhere, and nobody is told. New connections are taken and lead nowhere.
 */
export type FaultMode = "pass" | "lose-answers" | "black-hole";

/** A proxy on a loopback port. */
export class FaultProxy {
  /** Takes effect on bytes that arrive from now on, on old and new connections. */
  mode: FaultMode = "pass";
  /** Pieces of a stream that were thrown away. */
  lostPieces = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(targetPort: number) {
    this.#server = createServer((client) => this.#join(client, connect(targetPort, "127.0.0.1")));
  }

  /** Opens a proxy to a port of this machine. */
  static async open(targetPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address ? address.port : 0;
  }

  /** Resets every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Cuts every connection and takes no more. */
  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, target: Socket): void {
    this.#forward(client, target, () => this.mode === "black-hole");
    this.#forward(target, client, () => this.mode !== "pass");
  }

  #forward(from: Socket, to: Socket, isLost: () => boolean): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on("data", (piece) => {
      if (isLost()) this.lostPieces++;
      else to.write(piece);
    });
    // An end that nobody hears of is a part of the black hole.
    from.on("end", () => {
      if (!isLost()) to.end();
    });
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      if (this.mode !== "black-hole") to.destroy();
    });
  }
}
