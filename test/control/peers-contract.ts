// What every way of calling other brokers keeps: the real one over sockets, and the one of the simulation.
import { expect, it } from "vitest";
import { ImageFeed } from "../../src/cluster/image-feed.ts";
import { ClusterKeys } from "../../src/cluster/keys.ts";
import type { PeerEndpoint, PeerLinks } from "../../src/cluster/peers.ts";
import { Topics } from "../../src/cluster/topics.ts";
import { ControlService } from "../../src/control/control-service.ts";
import type { Clock } from "../../src/host/clock.ts";
import { silentLog } from "../../src/host/log.ts";
import type { Random } from "../../src/host/random.ts";
import type { Revision } from "../../src/kv/key-value-store.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";

/** A caller, and a peer that can be called. */
export interface PeersWorld {
  readonly peers: PeerLinks;
  readonly peer: PeerEndpoint;
  readonly broker: PeerBroker;
  /** The peer's process ends; its address is known and nobody has taken it. */
  readonly kill: () => Promise<void>;
  /** The peer accepts connections from now on, and does nothing else. */
  readonly freeze: () => Promise<void>;
  /** Waits for what needs no deadline. */
  readonly complete: <T>(work: Promise<T>) => Promise<T>;
  /** Lets the caller's time pass. */
  readonly pass: (ms: number) => Promise<void>;
}

/** The answering side of a broker: an image on a store, and the service. */
export class PeerBroker {
  static readonly process = "00112233aabbccdd";
  readonly service: ControlService;
  /** What its probes of the store give. */
  isStoreAnswering = true;
  readonly #feed: ImageFeed;
  readonly #topics: Topics;
  readonly #life = new AbortController();

  constructor(clock: Clock, random: Random) {
    const kv = new MemoryKeyValueStore({ clock });
    const components = { kv, clock, random, log: silentLog, keys: new ClusterKeys("test") };
    const onFailure = (error: unknown) => {
      throw error;
    };
    this.#feed = new ImageFeed(components, { clusterId: "c", onFailure });
    this.#topics = new Topics(components, this.#feed);
    const isStoreAnswering = async () => this.isStoreAnswering;
    this.service = new ControlService({ process: PeerBroker.process, feed: this.#feed, clock, isStoreAnswering });
  }

  async start(): Promise<void> {
    await this.#feed.start({ signal: this.#life.signal });
  }

  stop(): void {
    this.#life.abort(new Error("the peer stops"));
  }

  /** Creates a topic, and gives the revision at which the peer's image has it. */
  async changeTopics(name: string): Promise<Revision> {
    await this.#topics.create({ name, partitionCount: 1, configs: new Map() }, { signal: this.#life.signal });
    return this.#feed.current.revisionOf("topics");
  }
}

/** The suite. */
export function describePeers(open: () => Promise<PeersWorld>): void {
  const { signal } = new AbortController();

  it("says which process answers", async () => {
    const { peers, peer, complete } = await open();
    const answers = await complete(Promise.all([peers.probe(peer, { signal }), peers.probe(peer, { signal })]));
    expect(answers).toEqual([{ process: PeerBroker.process }, { process: PeerBroker.process }]);
  });

  it("waits until the peer's image shows the revision, and no longer", async () => {
    const { peers, peer, broker, complete } = await open();
    const revision = await complete(broker.changeTopics("first"));
    await complete(peers.waitForImage(peer, { collection: "topics", revision }, { signal }));
    let isShown = false;
    const shown = peers.waitForImage(peer, { collection: "topics", revision: revision + 1 }, { signal });
    const noted = shown.then(() => {
      isShown = true;
    });
    await complete(peers.probe(peer, { signal }));
    expect(isShown).toBe(false);
    expect(await complete(broker.changeTopics("second"))).toBe(revision + 1);
    await complete(noted);
    expect(isShown).toBe(true);
  });

  it("does not take another process for the one that is meant", async () => {
    const { peers, peer, complete } = await open();
    const other = { ...peer, process: "ffffffffffffffff" };
    const wait = peers.waitForImage(other, { collection: "topics", revision: 0 }, { signal });
    await expect(complete(wait)).rejects.toMatchObject({ name: "PeerError", kind: "unavailable" });
    expect((await complete(peers.probe(other, { signal }))).process).toBe(PeerBroker.process);
  });

  it("says whether the store answers the peer", async () => {
    const { peers, peer, broker, complete } = await open();
    expect(await complete(peers.probeStore(peer, { signal }))).toBe(true);
    broker.isStoreAnswering = false;
    expect(await complete(peers.probeStore(peer, { signal }))).toBe(false);
    const other = peers.probeStore({ ...peer, process: "ffffffffffffffff" }, { signal });
    await expect(complete(other)).rejects.toMatchObject({ name: "PeerError", kind: "unavailable" });
  });

  it("is refused where the process is dead, at once and after it was reached", async () => {
    const { peers, peer, kill, complete } = await open();
    await complete(peers.probe(peer, { signal }));
    await kill();
    const refusals: unknown[] = [];
    // The first call may still meet the connection that just broke.
    for (let call = 0; call < 3; call++) {
      refusals.push(await complete(peers.probe(peer, { signal }).catch((error: unknown) => error)));
    }
    expect(refusals.slice(1)).toMatchObject([{ kind: "refused" }, { kind: "refused" }]);
  });

  it("tells that the connection to a peer ended, and not while it lasts or where nobody listens any more", async () => {
    const { peers, peer, kill, complete } = await open();
    await complete(peers.probe(peer, { signal }));
    let lostCount = 0;
    const lost = new Promise<void>((resolve) => {
      peers.onLost(peer, () => {
        lostCount++;
        resolve();
      });
    });
    const unfollow = peers.onLost(peer, () => {
      lostCount += 100;
    });
    await complete(peers.probe(peer, { signal }));
    expect(lostCount).toBe(0);
    unfollow();
    await kill();
    await complete(lost);
    expect(lostCount).toBe(1);
    // There is none now, and so it is told soon.
    await complete(new Promise<void>((resolve) => void peers.onLost(peer, resolve)));
  });

  it("has no answer of a peer that accepts and says nothing, and that is no refusal", async () => {
    const { peers, peer, freeze, pass } = await open();
    await freeze();
    const outcome = peers.probe(peer, { signal }).catch((error: unknown) => error);
    await pass(1000);
    expect(await outcome).toMatchObject({ name: "PeerError", kind: "unavailable" });
  });

  it("fails a wait whose process dies meanwhile", async () => {
    const { peers, peer, kill, complete } = await open();
    const wait = peers.waitForImage(peer, { collection: "topics", revision: 1000 }, { signal });
    const outcome = wait.catch((error: unknown) => error);
    await complete(peers.probe(peer, { signal }));
    await kill();
    expect(await complete(outcome)).toMatchObject({ name: "PeerError" });
  });

  it("ends with the caller's reason, and leaves the connection to others", async () => {
    const { peers, peer, complete } = await open();
    const giveUp = new AbortController();
    const wait = peers.waitForImage(peer, { collection: "claims", revision: 1000 }, { signal: giveUp.signal });
    const outcome = wait.catch((error: unknown) => error);
    await complete(peers.probe(peer, { signal }));
    const reason = new Error("enough");
    giveUp.abort(reason);
    expect(await complete(outcome)).toBe(reason);
    expect((await complete(peers.probe(peer, { signal }))).process).toBe(PeerBroker.process);
  });
}
