// The calls between brokers on the simulated network: one stream a call, a line of JSON each way. A process that is dead
// refuses, one that is paused or cut off says nothing.
import { type PeerCallOptions, type PeerEndpoint, PeerError, type PeerLinks } from "../../src/cluster/peers.ts";
import type { ControlPlane } from "../../src/control/control-plane.ts";
import type { ControlService, ImageWait } from "../../src/control/control-service.ts";
import { withDeadline } from "../../src/host/clock.ts";
import type { Address, Connection } from "../../src/host/transport.ts";
import { ConnectionRefusedError, type SimTransport } from "./sim-transport.ts";

const CONTROL_PORT = 9093;
const PROBE_TIMEOUT_MS = 1000;
const IMAGE_WAIT_TIMEOUT_MS = 10_000;
const STORE_PROBE_TIMEOUT_MS = 3_500;

type Question =
  | { readonly type: "probe" }
  | ({ readonly type: "wait" } & ImageWait)
  | { readonly type: "store"; readonly process: string };
type Said = { readonly process: string; readonly isStoreAnswering?: boolean };
type Answer = Said | { readonly error: string };

/** Both sides of one life of a broker. */
export class SimControl implements ControlPlane, PeerLinks {
  readonly peers = this;
  readonly #transport: SimTransport;

  constructor(transport: SimTransport) {
    this.#transport = transport;
  }

  async listen(service: ControlService): Promise<Address> {
    const { address } = await this.#transport.listen({ host: "", port: CONTROL_PORT }, (connection) => {
      answer(connection, service).catch(() => connection.destroy());
    });
    return address;
  }

  async probe(peer: PeerEndpoint, { signal }: PeerCallOptions): Promise<{ readonly process: string }> {
    return this.#ask(peer, { type: "probe" }, { timeoutMs: PROBE_TIMEOUT_MS, signal });
  }

  async waitForImage(peer: PeerEndpoint, at: Omit<ImageWait, "process">, { signal }: PeerCallOptions): Promise<void> {
    const question: Question = { type: "wait", process: peer.process, ...at };
    await this.#ask(peer, question, { timeoutMs: IMAGE_WAIT_TIMEOUT_MS, signal });
  }

  async probeStore(peer: PeerEndpoint, { signal }: PeerCallOptions): Promise<boolean> {
    const question: Question = { type: "store", process: peer.process };
    const said = await this.#ask(peer, question, { timeoutMs: STORE_PROBE_TIMEOUT_MS, signal });
    return said.isStoreAnswering === true;
  }

  onLost(peer: PeerEndpoint, lost: () => void): () => void {
    const over = new AbortController();
    const where = { host: peer.controlHost, port: peer.controlPort };
    const follow = async () => {
      const connection = await this.#transport.connect(where, { signal: over.signal });
      over.signal.addEventListener("abort", () => connection.destroy(), { once: true });
      for await (const _ of connection.chunks()) continue;
    };
    const tell = () => {
      if (!over.signal.aborted) lost();
    };
    follow().then(tell, tell);
    return () => over.abort(new Error("nobody listens any more"));
  }

  keepOnly(): void {
    // Each call has a stream of its own.
  }

  async #ask(
    peer: PeerEndpoint,
    question: Question,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<Said> {
    const where = { host: peer.controlHost, port: peer.controlPort };
    try {
      const said = await withDeadline(this.#transport.clock, timeoutMs, question.type, signal, async (call) => {
        const connection = await this.#transport.connect(where, { signal: call });
        call.addEventListener("abort", () => connection.destroy(), { once: true });
        await connection.write([lineOf(question)]);
        const line = await firstLine(connection);
        connection.destroy();
        return JSON.parse(line) as Answer;
      });
      if ("error" in said) throw new Error(said.error);
      return said;
    } catch (error) {
      signal.throwIfAborted();
      const kind = error instanceof ConnectionRefusedError ? "refused" : "unavailable";
      throw new PeerError(kind, `${question.type}: no answer of broker ${peer.brokerId}`, { cause: error });
    }
  }
}

async function answer(connection: Connection, service: ControlService): Promise<void> {
  const over = new AbortController();
  let text = "";
  for await (const chunk of connection.chunks()) {
    text += new TextDecoder().decode(chunk);
    if (!text.endsWith("\n")) continue;
    answerOf(JSON.parse(text) as Question, service, over.signal)
      .catch((error: unknown) => ({ error: String(error) }))
      .then((said) => connection.write([lineOf(said)]))
      .then(() => connection.end())
      .catch(() => connection.destroy());
  }
  over.abort(new Error("the caller has gone"));
}

async function answerOf(question: Question, service: ControlService, signal: AbortSignal): Promise<Answer> {
  if (question.type === "store") return { ...service.probe(), isStoreAnswering: await service.probeStore(question) };
  if (question.type === "wait") await service.waitForImage(question, { signal });
  return service.probe();
}

async function firstLine(connection: Connection): Promise<string> {
  let text = "";
  for await (const chunk of connection.chunks()) {
    text += new TextDecoder().decode(chunk);
    if (text.endsWith("\n")) return text;
  }
  throw new Error("the stream ended before an answer");
}

function lineOf(value: Question | Answer): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}
