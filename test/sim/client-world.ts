// What every simulated client shares: the network, the time, the oracle that judges what it is told, and where it may
// begin to look for brokers.
import { sleep } from "../../src/host/clock.ts";
import type { Address } from "../../src/host/transport.ts";
import type { GroupOracle } from "./group-oracle.ts";
import type { Ledger } from "./ledger.ts";
import type { SimClock } from "./sim-clock.ts";
import type { SimRandom } from "./sim-random.ts";
import type { SimNetwork } from "./sim-transport.ts";
import type { StoreOracle } from "./store-oracle.ts";
import type { ClientSwarm, EnvironmentFaults } from "./swarm.ts";
import type { Trace } from "./trace.ts";

/** Shared by the clients of a schedule. */
export interface ClientWorld {
  readonly clock: SimClock;
  readonly network: SimNetwork;
  readonly random: SimRandom;
  readonly ledger: Ledger;
  readonly trace: Trace;
  readonly oracle: StoreOracle;
  readonly groups: GroupOracle;
  readonly swarm: ClientSwarm;
  readonly environment: EnvironmentFaults;
  /** Where brokers are now: what a name server would say. At least one, unless all have left. */
  addresses(): readonly Address[];
  /** Whether there is one broker only, which leads and coordinates everything. */
  readonly hasOneBroker: boolean;
  /** Aborts when the clients have to end. */
  readonly over: AbortSignal;
  /** Whether new work may be begun; false once the broker has only to catch up. */
  isProducing(): boolean;
}

/** Host name of all clients. */
export const CLIENT_HOST = "client";

/** Waits a random time around `meanMs`; rejects when the schedule is over. */
export function pause(world: ClientWorld, random: SimRandom, meanMs: number): Promise<void> {
  return sleep(world.clock, meanMs * (0.5 + random.uniform()), world.over);
}

/** How long a client waits after so many failures in a row: Kafka's `retry.backoff.ms` and its maximum. */
export function retryPauseMs(failures: number): number {
  return Math.min(1_000, 100 * 2 ** (failures - 1));
}

/** The value of a promise, or undefined when it fails: a client tries again, whatever the reason. */
export async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch {
    return undefined;
  }
}
