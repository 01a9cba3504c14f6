// A way to an S3 server that speaks HTTP: it answers in the store's place, as a store does that has too many requests, or
// lets puts wait. It counts the calls that it harmed, and those that the store itself refused.
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const slowDown =
  '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>SlowDown</Code>' +
  "<Message>Please reduce your request rate.</Message><RequestId>0</RequestId></Error>";

/** A gate on a loopback port. */
export class S3Gate {
  /** Whether every call is answered with 503. */
  isStorming = false;
  /** How long a put waits before the store hears of it. */
  putDelayMs = 0;
  /** Calls that were answered with 503, or waited. */
  harmedCount = 0;
  /** Calls that the store answered with 403. */
  refusedCount = 0;
  readonly #targetPort: number;
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer((call, answer) => void this.#pass(call, answer));
    this.#server.keepAliveTimeout = 60_000;
  }

  /** Opens a gate to a server of this machine. */
  static async open(targetPort: number): Promise<S3Gate> {
    const gate = new S3Gate(targetPort);
    await new Promise<void>((resolve) => gate.#server.listen(0, "127.0.0.1", resolve));
    return gate;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address ? address.port : 0;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
  }

  async #pass(call: IncomingMessage, answer: ServerResponse): Promise<void> {
    if (this.isStorming) {
      this.harmedCount++;
      // As the store does: what was sent is read, so that the connection stays usable.
      call.resume();
      answer.writeHead(503, { "content-type": "application/xml", "content-length": Buffer.byteLength(slowDown) });
      answer.end(slowDown);
      return;
    }
    if (call.method === "PUT" && this.putDelayMs > 0) {
      this.harmedCount++;
      await sleep(this.putDelayMs);
      if (call.destroyed) return;
    }
    const { method, url: path, rawHeaders: headers } = call;
    const target = { host: "127.0.0.1", port: this.#targetPort, agent: this.#agent };
    const onward = request({ ...target, method, path, headers }, (reply) => {
      if (reply.statusCode === 403) this.refusedCount++;
      answer.writeHead(reply.statusCode ?? 502, reply.rawHeaders);
      reply.pipe(answer);
      reply.on("error", () => answer.destroy());
    });
    onward.on("error", () => call.socket.destroy());
    answer.on("close", () => {
      if (!answer.writableFinished) onward.destroy();
    });
    call.pipe(onward);
  }
}
