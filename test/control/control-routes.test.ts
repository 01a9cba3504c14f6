// The control service as gRPC: what a foreign client is refused, in gRPC's own codes.
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { PeerService } from "../../generated/proto/control/broker_pb.ts";
import { controlHandler } from "../../src/control/control-routes.ts";
import { H2cClient } from "../../src/host/h2c-client.ts";
import { H2cServer } from "../../src/host/h2c-server.ts";
import { openHttpPort } from "../../src/host/http-port.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { SystemRandom } from "../../src/host/system-random.ts";
import { PeerBroker } from "./peers-contract.ts";

const process = new Uint8Array(Buffer.from(PeerBroker.process, "hex"));

async function open(): Promise<Client<typeof PeerService>> {
  const broker = new PeerBroker(new SystemClock(), new SystemRandom());
  await broker.start();
  const h2c = new H2cServer();
  h2c.serve(controlHandler(broker.service));
  const takeHttp2 = h2c.take.bind(h2c);
  const http = await openHttpPort({ address: { host: "127.0.0.1", port: 0 }, routes: {}, takeHttp2 });
  const connection = new H2cClient(http.address);
  onTestFinished(async () => {
    connection.reset();
    broker.stop();
    await Promise.all([h2c.close(), http.close()]);
  });
  const baseUrl = connection.authority;
  return createClient(PeerService, createGrpcTransport({ baseUrl, sessionManager: connection }));
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  const outcome = await call.catch((error: unknown) => error);
  return outcome instanceof ConnectError ? (Code[outcome.code] ?? "none") : "answered";
}

describe("a foreign client", () => {
  it("is answered by the process it means, and by no other", async () => {
    const client = await open();
    expect((await client.probe({})).process).toEqual(process);
    const at = { case: "topics", value: 0n } as const;
    expect(await codeOf(client.waitForImage({ process, at }))).toBe("answered");
    expect(await codeOf(client.waitForImage({ process: new Uint8Array(8), at }))).toBe("FailedPrecondition");
    expect((await client.probeStore({ process })).isAnswering).toBe(true);
    expect(await codeOf(client.probeStore({ process: new Uint8Array(8) }))).toBe("FailedPrecondition");
  });

  it("is refused a wait for nothing, and for what is no revision", async () => {
    const client = await open();
    expect(await codeOf(client.waitForImage({ process }))).toBe("InvalidArgument");
    for (const value of [-1n, 2n ** 53n]) {
      expect(await codeOf(client.waitForImage({ process, at: { case: "claims", value } }))).toBe("InvalidArgument");
    }
  });

  it("is refused a message past 64 KiB, and served afterwards", async () => {
    const client = await open();
    const huge = new Uint8Array(64 * 1024);
    expect(await codeOf(client.waitForImage({ process: huge }))).toBe("ResourceExhausted");
    expect(await codeOf(client.probe({}))).toBe("answered");
  });

  it("ends its wait at its own deadline", async () => {
    const client = await open();
    const at = { case: "sessions", value: 9n } as const;
    expect(await codeOf(client.waitForImage({ process, at }, { timeoutMs: 50 }))).toBe("DeadlineExceeded");
  });
});
