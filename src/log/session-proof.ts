// Proof that the own session lives, by a linearizable read that began after the question: what a stale owner must not
// answer (an offset out of range, the committed offsets of a group) waits for it. Questions share reads.
import type { ClusterComponents } from "../cluster/cluster-components.ts";
import type { Session } from "../cluster/session.ts";
import { withDeadline } from "../host/clock.ts";

/** How long a proof may take before the question is answered as by one who does not know. */
const PROOF_TIMEOUT_MS = 3_000;

/** Proves one session. */
export class SessionProof {
  readonly #components: ClusterComponents;
  readonly #session: Session;
  /** The read under way. */
  #present: Promise<boolean> = Promise.resolve(true);
  /** The read that begins when that one has ended: whoever asks now shares it. */
  #next: Promise<boolean> | null = null;

  constructor(components: ClusterComponents, session: Session) {
    this.#components = components;
    this.#session = session;
  }

  /** Whether the session's key was there at some moment after this call. False as well when nobody could tell. */
  confirm(): Promise<boolean> {
    this.#next ??= this.#present.then(() => {
      this.#next = null;
      this.#present = this.#read();
      return this.#present;
    });
    return this.#next;
  }

  async #read(): Promise<boolean> {
    const { kv, keys, clock, log } = this.#components;
    const { sessionId, createRevision, signal } = this.#session;
    try {
      const { entry } = await withDeadline(clock, PROOF_TIMEOUT_MS, "proof of the session", signal, (attempt) =>
        kv.get(keys.session(sessionId), { signal: attempt }),
      );
      return entry?.createRevision === createRevision;
    } catch (error) {
      log.warn("the session could not be proven", { session: sessionId, error });
      return false;
    }
  }
}
