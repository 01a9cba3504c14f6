// Calls between brokers on the simulated network: a process that is dead refuses, one that is paused or cut off says
// nothing until the call is given up.
import { type PeerEndpoint, PeerError, type Peers } from "../../src/cluster/peers.ts";
import type { BrokerLife, BrokerWorld } from "./sim-broker.ts";

const PROBE_TIMEOUT_MS = 1_000;

/** The calls of one process. */
export class SimPeers implements Peers {
  readonly #world: BrokerWorld;
  readonly #life: BrokerLife;

  constructor(world: BrokerWorld, life: BrokerLife) {
    this.#world = world;
    this.#life = life;
  }

  async probe(peer: PeerEndpoint): Promise<{ readonly process: string }> {
    await this.#reach(peer);
    return { process: peer.process };
  }

  async waitForImage(peer: PeerEndpoint): Promise<void> {
    await this.#reach(peer);
  }

  async #reach(peer: PeerEndpoint): Promise<void> {
    const { network, processes } = this.#world;
    const host = (peer as PeerEndpoint & { host: string }).host;
    await this.#sleep(network.latency() + network.latency());
    const there = processes.get(host);
    const isCut = network.isCut(this.#life.name, host);
    if (!there || there.isPaused || isCut || (there.clock.isDead && there.isSilent)) {
      await this.#sleep(PROBE_TIMEOUT_MS);
      throw new PeerError("unavailable", `${host} does not answer`);
    }
    if (there.clock.isDead) throw new PeerError("refused", `nobody listens at ${host}`);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#life.clock.setTimer(ms, resolve);
    });
  }
}
