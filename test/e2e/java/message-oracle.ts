// One long-lived Java process that judges codecs by Kafka's own classes (MessageOracle.java), asked over its pipes.
// Questions may overlap; answers come in their order. Ends with the process it started, and with nothing else.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";

const root = join(import.meta.dirname, "../../..");
const program = join(import.meta.dirname, "MessageOracle.java");

/** What Kafka's classes say: the answer's bytes, or why they refuse. */
export type Verdict =
  | { readonly accepted: true; readonly bytes: Buffer }
  | { readonly accepted: false; readonly reason: string };

/** The jars of the newest release with its coordinators, and of the release that still has the removed versions. */
export const classPaths = {
  newest: [join(root, ".tools/kafka/libs", "*")],
  // The old client library comes without the JSON library that its converters use; it is the same in both.
  oldest: [join(root, ".tools/kafka-3.9/libs", "*"), ...jacksonJars()],
} as const;

function jacksonJars(): string[] {
  const folder = join(root, ".tools/kafka/libs");
  if (!existsSync(folder)) return [];
  const jars = readdirSync(folder).filter((name) => /^jackson-(annotations|core|databind)-\d/.test(name));
  return jars.map((name) => join(folder, name));
}

/** Whether `make tools` has put both releases where the oracle looks for them. */
export function hasOracleJars(): boolean {
  return existsSync(join(root, ".tools/kafka/libs")) && existsSync(join(root, ".tools/kafka-3.9/libs"));
}

/** A Java process with one release's classes. */
export class MessageOracle {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting: { resolve: (answer: Buffer) => void; reject: (error: Error) => void }[] = [];
  #received: Buffer[] = [];
  #receivedBytes = 0;

  constructor(classPath: readonly string[]) {
    this.#process = spawn("java", ["-Xmx512m", "-cp", classPath.join(delimiter), program], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#process.stdout.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#process.on("exit", (code) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`the oracle ended with ${code}`));
    });
  }

  /** The versions the release has of a message; undefined if it has no such message. */
  async versions(name: string): Promise<{ readonly lowest: number; readonly highest: number } | undefined> {
    const verdict = await this.ask("V", name, 0, new Uint8Array(0));
    if (!verdict.accepted) return undefined;
    return { lowest: verdict.bytes.readInt16BE(0), highest: verdict.bytes.readInt16BE(2) };
  }

  /** Asks one question: op, message, version, and the bytes or JSON. */
  async ask(op: "V" | "D" | "E", name: string, version: number, rest: Uint8Array): Promise<Verdict> {
    const head = Buffer.alloc(4 + 1 + 2 + name.length + 2);
    head.writeInt32BE(head.length - 4 + rest.length, 0);
    head.write(op, 4, "latin1");
    head.writeUInt16BE(name.length, 5);
    head.write(name, 7, "latin1");
    head.writeInt16BE(version, 7 + name.length);
    const answer = await new Promise<Buffer>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#process.stdin.write(Buffer.concat([head, rest]));
    });
    if (answer[0] === 0) return { accepted: true, bytes: answer.subarray(1) };
    return { accepted: false, reason: answer.toString("utf8", 1) };
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.stdin.end();
    await ended;
  }

  #receive(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#receivedBytes += chunk.length;
    if (this.#receivedBytes < 4) return;
    let buffer = this.#received.length === 1 ? chunk : Buffer.concat(this.#received);
    while (buffer.length >= 4 && buffer.length >= 4 + buffer.readInt32BE(0)) {
      const end = 4 + buffer.readInt32BE(0);
      this.#waiting.shift()?.resolve(buffer.subarray(4, end));
      buffer = buffer.subarray(end);
    }
    this.#received = [buffer];
    this.#receivedBytes = buffer.length;
  }
}
