// Several brokers of this room's tests: each has its own life on a simulated network, an image, a session and the service
// that the others call.
import { ImageFeed } from "../../src/cluster/image-feed.ts";
import type { Session } from "../../src/cluster/session.ts";
import { ControlService } from "../../src/control/control-service.ts";
import type { SimNodeClock } from "../sim/sim-clock.ts";
import { SimControl } from "../sim/sim-control.ts";
import { SimRandom } from "../sim/sim-random.ts";
import { SimNetwork, type SimTransport } from "../sim/sim-transport.ts";
import { registration, World } from "./world.ts";

/** One broker. */
export class Neighbour {
  readonly brokerId: number;
  readonly clock: SimNodeClock;
  readonly control: SimControl;
  readonly feed: ImageFeed;
  readonly process: string;
  session!: Session;
  readonly #world: NeighbourWorld;
  readonly #transport: SimTransport;

  constructor(world: NeighbourWorld, brokerId: number) {
    this.#world = world;
    this.brokerId = brokerId;
    this.clock = world.clock.node();
    this.#transport = world.network.transport(registration(brokerId).host, this.clock);
    this.control = new SimControl(this.#transport);
    this.process = registration(brokerId).process;
    const onFailure = (error: unknown) => {
      throw error;
    };
    this.feed = new ImageFeed(this.components, { clusterId: "c", onFailure });
  }

  /** The world's, on the own clock. */
  get components() {
    return { ...this.#world.components, clock: this.clock };
  }

  /** Answers, then registers, as a broker does. */
  async start(): Promise<void> {
    const { feed, process, clock } = this;
    await this.#world.settled(feed.start(this.#world));
    const isStoreAnswering = () => Promise.resolve(true);
    await this.control.listen(new ControlService({ process, feed, clock, isStoreAnswering }));
    this.session = await this.#world.session(this.brokerId);
  }

  /** The process ends; its session stays until its lease has run out, or somebody fences it. */
  kill(): void {
    this.clock.kill();
    this.#world.network.kill(this.#transport);
  }
}

/** A world of them. */
export class NeighbourWorld extends World {
  readonly network = new SimNetwork({ world: this.clock, random: new SimRandom("neighbours") });

  /** Starts brokers with these ids, one after the other, and waits until each image shows all. */
  async start(...brokerIds: readonly number[]): Promise<readonly Neighbour[]> {
    const brokers = brokerIds.map((brokerId) => new Neighbour(this, brokerId));
    for (const broker of brokers) await broker.start();
    await this.pass(100);
    return brokers;
  }
}
