// Calls between brokers over real sockets: the contract, one connection a peer, and what an answer may not be.
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { PeerService } from "../../generated/proto/control/broker_pb.ts";
import { controlHandler } from "../../src/control/control-routes.ts";
import { SocketControlPlane } from "../../src/control/socket-control-plane.ts";
import { H2cServer } from "../../src/host/h2c-server.ts";
import { openHttpPort } from "../../src/host/http-port.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { SystemRandom } from "../../src/host/system-random.ts";
import { ManualClock } from "../kafka/manual-clock.ts";
import { describePeers, PeerBroker, type PeersWorld } from "./peers-contract.ts";

interface SocketPeersWorld extends PeersWorld {
  readonly port: number;
  /** Connections that the peer has accepted. */
  readonly accepted: Set<Socket>;
}

/** Binds `port` with a listener that takes connections and never answers. */
async function listenSilently(port: number): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.resume();
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
}

/** @param routes what the peer answers instead of the service of this version */
async function open(routes?: (router: ConnectRouter) => void): Promise<SocketPeersWorld> {
  const clock = new ManualClock();
  const broker = new PeerBroker(new SystemClock(), new SystemRandom());
  await broker.start();
  const h2c = new H2cServer();
  const accepted = new Set<Socket>();
  const takeHttp2 = (socket: Socket) => {
    accepted.add(socket);
    socket.once("close", () => accepted.delete(socket));
    h2c.take(socket);
  };
  const http = await openHttpPort({ address: { host: "127.0.0.1", port: 0 }, routes: {}, takeHttp2 });
  const plane = new SocketControlPlane({ clock, h2c, address: http.address });
  const { peers } = plane;
  const { host, port } = await plane.listen(broker.service);
  if (routes) h2c.serve(connectNodeAdapter({ grpc: true, routes }));
  const kill = async () => {
    for (const socket of accepted) socket.destroy();
    await http.close();
  };
  onTestFinished(async () => {
    peers.keepOnly([]);
    broker.stop();
    await kill();
  });
  return {
    port,
    accepted,
    broker,
    peers,
    peer: { brokerId: 1, process: PeerBroker.process, controlHost: host, controlPort: port },
    kill,
    freeze: async () => {
      await kill();
      await listenSilently(port);
    },
    complete: (work) => work,
    pass: (ms) => clock.advance(ms),
  };
}

const { signal } = new AbortController();

describe("calls between brokers over sockets", () => {
  describePeers(() => open());

  it("go over one connection a peer, which ends when the peer is no longer kept", async () => {
    const { peers, peer, accepted } = await open();
    await Promise.all(Array.from({ length: 8 }, () => peers.probe(peer, { signal })));
    await peers.probe(peer, { signal });
    expect(accepted.size).toBe(1);
    const [socket] = accepted;
    peers.keepOnly([peer]);
    await peers.probe(peer, { signal });
    expect([...accepted]).toEqual([socket]);
    const ended = socket && once(socket, "close");
    peers.keepOnly([{ ...peer, process: "ffffffffffffffff" }]);
    await ended;
    expect(accepted.size).toBe(0);
  });

  it("find the peer again after it was away", async () => {
    const { peers, peer, kill, port, broker } = await open();
    await peers.probe(peer, { signal });
    await kill();
    await peers.probe(peer, { signal }).catch(() => {});
    await expect(peers.probe(peer, { signal })).rejects.toMatchObject({ kind: "refused" });
    const h2c = new H2cServer();
    h2c.serve(controlHandler(broker.service));
    const address = { host: "127.0.0.1", port };
    const http = await openHttpPort({ address, routes: {}, takeHttp2: (socket) => h2c.take(socket) });
    onTestFinished(() => http.close());
    expect((await peers.probe(peer, { signal })).process).toBe(PeerBroker.process);
  });

  it("have no answer of an older broker that does not know the call, and stay connected to it", async () => {
    const { peers, peer, accepted } = await open((router) => {
      router.service(PeerService, {
        probe: () => ({ process: new Uint8Array(Buffer.from(PeerBroker.process, "hex")) }),
      });
    });
    await peers.probe(peer, { signal });
    const [socket] = accepted;
    await expect(peers.probeStore(peer, { signal })).rejects.toMatchObject({ name: "PeerError", kind: "unavailable" });
    expect((await peers.probe(peer, { signal })).process).toBe(PeerBroker.process);
    expect([...accepted]).toEqual([socket]);
  });

  it("have no answer where there is no control port, no such name, or something else", async () => {
    const { peers, peer, port } = await open();
    const kindOf = async (where: Partial<typeof peer>) => {
      const outcome = await peers.probe({ ...peer, ...where }, { signal }).catch((error: unknown) => error);
      return outcome;
    };
    expect(await kindOf({ controlPort: 0 })).toMatchObject({ kind: "unavailable" });
    expect(await kindOf({ process: "01", controlHost: "no-such-name.invalid" })).toMatchObject({ kind: "unavailable" });
    const other = createServer((socket) => socket.on("error", () => {}).end("SSH-2.0-nothing\r\n"));
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    onTestFinished(() => {
      other.close();
    });
    const bound = other.address();
    const controlPort = bound !== null && typeof bound === "object" ? bound.port : port;
    expect(await kindOf({ process: "02", controlPort })).toMatchObject({ kind: "unavailable" });
  });
});
