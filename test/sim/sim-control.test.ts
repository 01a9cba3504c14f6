// The simulated calls between brokers keep what the real ones keep.
import { describe, expect, it } from "vitest";
import { describePeers, PeerBroker, type PeersWorld } from "../control/peers-contract.ts";
import { SimClock } from "./sim-clock.ts";
import { SimControl } from "./sim-control.ts";
import { SimRandom } from "./sim-random.ts";
import { SimNetwork } from "./sim-transport.ts";

interface SimPeersWorld extends PeersWorld {
  readonly network: SimNetwork;
}

async function open(): Promise<SimPeersWorld> {
  const clock = new SimClock({ seed: "peers" });
  const network = new SimNetwork({ world: clock, random: new SimRandom("peers") });
  const node = clock.node();
  const transport = network.transport("peer", node);
  const broker = new PeerBroker(node, new SimRandom("peer"));
  await clock.complete(broker.start());
  const address = await new SimControl(transport).listen(broker.service);
  const endpoint = { controlHost: address.host, controlPort: address.port };
  return {
    network,
    broker,
    peers: new SimControl(network.transport("caller")),
    peer: { brokerId: 1, process: PeerBroker.process, ...endpoint },
    kill: async () => {
      node.kill();
      network.kill(transport);
    },
    freeze: async () => node.pause(),
    complete: (work) => clock.complete(work),
    pass: async (ms) => {
      await clock.run({ untilMs: clock.monotonicMs() + ms });
    },
  };
}

describe("calls between brokers on the simulated network", () => {
  describePeers(open);

  it("have no answer while the link is cut, and one when it works again", async () => {
    const { network, peers, peer, complete } = await open();
    const { signal } = new AbortController();
    network.cut("caller", "peer");
    await expect(complete(peers.probe(peer, { signal }))).rejects.toMatchObject({ kind: "unavailable" });
    network.heal("caller", "peer");
    expect((await complete(peers.probe(peer, { signal }))).process).toBe(PeerBroker.process);
  });
});
