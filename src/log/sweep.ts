// Removes what dead sessions left, once no claim names them: their objects, then their head and their pointer. Each dead
// session belongs to the owner of one shard. Keeps nothing: whoever owns that shard later finds what is left by its head.
// Lists two prefixes of a session that nobody waits for; decides nothing by age.
import {
  forgetSession,
  isSessionGone,
  namedSessions,
  readRemains,
  sessionsWithHead,
} from "../cluster/dead-sessions.ts";
import type { MetadataImage } from "../cluster/image.ts";
import type { ImageFeed } from "../cluster/image-feed.ts";
import { sweepingShardOf } from "../cluster/placement.ts";
import type { Session } from "../cluster/session.ts";
import type { SessionId } from "../cluster/session-id.ts";
import { Bell } from "../host/bell.ts";
import { sleep } from "../host/clock.ts";
import type { ObjectKeys } from "../objects/object-keys.ts";
import type { RemovalSettings, Remover } from "./remover.ts";

/** Parts of a {@link Sweep}. */
export interface SweepComponents {
  readonly session: Session;
  readonly feed: ImageFeed;
  readonly objectKeys: ObjectKeys;
  readonly remover: Remover;
  readonly settings: RemovalSettings;
}

/** The sweep of dead sessions by one live one. */
export class Sweep {
  readonly #parts: SweepComponents;
  readonly #bell: Bell;
  /** Sessions of this broker's shards that were seen to end. */
  readonly #ended = new Set<SessionId>();
  /** Whether all heads are to be looked at: at first, when shards were claimed, and from time to time. */
  #isLookDue = true;

  constructor(components: SweepComponents) {
    this.#parts = components;
    this.#bell = new Bell(components.session.components.clock);
  }

  /** Sweeps until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { feed, session, settings } = this.#parts;
    const { clock, random } = session.components;
    const unsubscribe = feed.subscribe((image, previous) => this.#follow(image, previous));
    try {
      let nextLookMs = clock.monotonicMs();
      for (;;) {
        if (!this.#isLookDue && this.#ended.size === 0) {
          await this.#bell.wait(signal, Math.max(0, nextLookMs - clock.monotonicMs()));
        }
        if (clock.monotonicMs() >= nextLookMs) this.#isLookDue = true;
        if (this.#isLookDue) nextLookMs = clock.monotonicMs() + settings.sweepEveryMs * (0.5 + random.uniform());
        await this.#round(signal);
        // Claims and ends come in crowds.
        await sleep(clock, settings.lookEveryMs, signal);
      }
    } finally {
      unsubscribe();
    }
  }

  #follow(image: MetadataImage, previous: MetadataImage): void {
    if (image.revisionOf("sessions") !== previous.revisionOf("sessions")) {
      for (const { sessionId } of previous.sessions()) {
        if (!image.session(sessionId) && this.#isOurs(sessionId)) this.#ended.add(sessionId);
      }
    }
    if (image.revisionOf("claims") !== previous.revisionOf("claims")) {
      for (const { shard, claim } of image.claims()) {
        const isNew = previous.claim(shard)?.claim.sessionId !== claim.sessionId;
        if (isNew && claim.sessionId === this.#parts.session.sessionId) this.#isLookDue = true;
      }
    }
    if (this.#isLookDue || this.#ended.size > 0) this.#bell.ring();
  }

  #isOurs(sessionId: SessionId): boolean {
    const { feed, session } = this.#parts;
    return feed.current.claim(sweepingShardOf(sessionId))?.claim.sessionId === session.sessionId;
  }

  /** One round, from what may be dead to what is forgotten. */
  async #round(signal: AbortSignal): Promise<void> {
    const { session, settings } = this.#parts;
    const { components } = session;
    const unnamed = await this.#unnamed(await this.#candidates(signal), signal);
    const gone: SessionId[] = [];
    for (const sessionId of unnamed) {
      // The image may not know of it yet. A head and a key come into being together, so that no key now means never again.
      if (await isSessionGone(components, sessionId, { signal })) gone.push(sessionId);
    }
    const first = await this.#unnamed(gone, signal);
    if (first.length === 0) return;
    await sleep(components.clock, settings.graceMs, signal);
    for (const sessionId of await this.#unnamed(first, signal)) await this.#sweep(sessionId, signal);
  }

  async #candidates(signal: AbortSignal): Promise<SessionId[]> {
    const { session, feed } = this.#parts;
    const candidates = new Set(this.#ended);
    this.#ended.clear();
    if (this.#isLookDue) {
      this.#isLookDue = false;
      for (const sessionId of await sessionsWithHead(session.components, { signal })) {
        if (!feed.current.session(sessionId) && this.#isOurs(sessionId)) candidates.add(sessionId);
      }
    }
    return [...candidates];
  }

  /** Those of `sessionIds` that no claim names; asks nobody for none. */
  async #unnamed(sessionIds: readonly SessionId[], signal: AbortSignal): Promise<SessionId[]> {
    if (sessionIds.length === 0) return [];
    const named = await namedSessions(this.#parts.session.components, { signal });
    return sessionIds.filter((sessionId) => !named.has(sessionId));
  }

  async #sweep(sessionId: SessionId, signal: AbortSignal): Promise<void> {
    const { session, objectKeys, remover } = this.#parts;
    const { components } = session;
    const remains = await readRemains(components, sessionId, { signal });
    const { wal, checkpoints } = objectKeys.ofSession(sessionId);
    await remover.removeAll("wal", wal, signal);
    await remover.removeAll("checkpoint", checkpoints, signal);
    const isForgotten = await forgetSession(components, sessionId, { remains, signal });
    components.log.debug("dead session swept", { session: sessionId, isForgotten });
  }
}
