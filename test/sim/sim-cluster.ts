// The brokers of a schedule: who is there, who can be struck, and what all of them undergo together.
import type { Address } from "../../src/host/transport.ts";
import { type BrokerLife, type BrokerWorld, SimBroker } from "./sim-broker.ts";
import type { SimRandom } from "./sim-random.ts";

/** The brokers, by ascending id from 1 on. */
export class SimCluster {
  readonly brokers: readonly SimBroker[];

  constructor(world: BrokerWorld) {
    const { brokerCount, firstBrokerCount } = world.swarm;
    this.brokers = Array.from({ length: brokerCount }, (_, index) => new SimBroker(world, index + 1));
    for (const broker of this.brokers.slice(0, firstBrokerCount)) broker.join();
  }

  /** Brokers that have not left. */
  get members(): readonly SimBroker[] {
    return this.brokers.filter(({ isAway }) => !isAway);
  }

  /** The life of the moment of every member, alive or dead. */
  get lives(): readonly BrokerLife[] {
    return this.members.flatMap(({ current }) => current ?? []);
  }

  /** Where a client is told to begin: one address a member. */
  get addresses(): readonly Address[] {
    return this.lives.map(({ address }) => address);
  }

  /** A member to be struck. */
  pick(random: SimRandom): SimBroker {
    const [first] = this.members;
    if (!first) throw new Error("every broker has left");
    return this.brokers.length === 1 ? first : random.pick(this.members);
  }

  /** Ends all faults of calls, wakes who sleeps, buries zombies. */
  heal(): void {
    for (const broker of this.brokers) broker.heal();
  }

  /** Nothing of any broker happens any more. */
  end(): void {
    for (const broker of this.brokers) broker.end();
  }
}
