// A client that sends whatever bytes a test gives it, for what no codec would write.
import { FrameSplitter } from "../../src/kafka/frame.ts";
import type { MemoryConnection, MemoryTransport } from "./memory-transport.ts";

/** A frame with a header of version 1 and any body. */
export function rawFrame(
  apiKey: number,
  apiVersion: number,
  correlationId: number,
  body: Uint8Array = new Uint8Array(0),
  clientId = "raw",
): Uint8Array {
  const id = Buffer.from(clientId);
  const header = Buffer.alloc(14 + id.length);
  header.writeInt32BE(header.length - 4 + body.length, 0);
  header.writeInt16BE(apiKey, 4);
  header.writeInt16BE(apiVersion, 6);
  header.writeInt32BE(correlationId, 8);
  header.writeInt16BE(id.length, 12);
  id.copy(header, 14);
  return Buffer.concat([header, body]);
}

/** A connection, its answers and its end. */
export class RawClient {
  readonly connection: MemoryConnection;
  /** Answers without their size fields. */
  readonly frames: Uint8Array[] = [];
  isEnded = false;

  constructor(transport: MemoryTransport, host = "192.0.2.1") {
    this.connection = transport.dial(host);
    void this.#read();
  }

  send(bytes: Uint8Array): void {
    this.connection.write([bytes]).catch(() => {
      this.isEnded = true;
    });
  }

  async #read(): Promise<void> {
    const splitter = new FrameSplitter(1 << 30);
    try {
      for await (const chunk of this.connection.chunks()) this.frames.push(...splitter.split(chunk));
    } catch {
      // Broken or closed: both are an end.
    }
    this.isEnded = true;
  }
}
