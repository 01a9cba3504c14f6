// One life of a broker in the metadata store: a key with a lease of its own, kept alive until the session dies. What is
// written on its behalf compares the key's create revision, so a dead session writes nothing, whatever its clock says.
// Refuses nothing to others: anybody may delete the key, and the session then ends.
import { longLivedController } from "../host/abort.ts";
import { sleep } from "../host/clock.ts";
import { TaskGroup } from "../host/tasks.ts";
import { brokenInvariant, invariant } from "../invariant.ts";
import { KvError, type LeaseId, type Revision, type Txn } from "../kv/key-value-store.ts";
import { callOnce, isTransient, outageLogOf, txnUntilAnswered, untilAnswered } from "./attempts.ts";
import type { ClusterComponents } from "./cluster-components.ts";
import { decodeHead, decodeSession, encodeHead, encodeSession, type SessionRecord } from "./keys.ts";
import { newSessionId, type SessionId } from "./session-id.ts";

/** How long a session outlives its last keep-alive. */
export const SESSION_TTL_MS = 10_000;
/** Three keep-alives fit into a lease, so that one lost call ends nothing. */
const KEEP_ALIVE_MS = 3000;
/** After a keep-alive without an answer the next one does not wait its turn. */
const KEEP_ALIVE_RETRY_MS = 500;
const REGISTER_PAUSE_MS = 250;

/** What a broker says of itself when it registers. */
export type Registration = Omit<SessionRecord, "isDraining">;

/** How a session ended. */
export interface SessionEnd {
  readonly reason: Error;
  /**
   * The last committed flush, read after the session's key was gone: final. Undefined where it cannot be known: the
   * broker's life ended first, or the head itself was gone.
   */
  readonly head: number | undefined;
}

/** The last head known to be committed. */
export interface CommittedHead {
  readonly n: number;
  /** The stored bytes, as the next commit compares them. */
  readonly value: Uint8Array;
}

interface SessionFacts {
  readonly components: ClusterComponents;
  readonly sessionId: SessionId;
  readonly registration: Registration;
  readonly createRevision: Revision;
  readonly leaseId: LeaseId;
  readonly headValue: Uint8Array;
  /** Monotonic time at which the lease was asked for. */
  readonly sentMs: number;
}

/** What a session is told by, and whom it tells. */
interface SessionOptions {
  /** The life of the broker: when it aborts, the session vanishes as in a crash. */
  readonly life: AbortSignal;
  /** Told of a broken invariant behind a reason to die, also of one that shows when the session has ended already. */
  readonly onBug: (error: Error) => void;
}

/** A registered session. It lives until {@link die}, the loss of its lease, or the end of the broker's life. */
export class Session {
  readonly components: ClusterComponents;
  readonly sessionId: SessionId;
  readonly registration: Registration;
  /** What every write on behalf of the session compares. */
  readonly createRevision: Revision;
  readonly leaseId: LeaseId;
  /** Resolves once the session's key is gone and its head was read, or the broker's life ended. Never rejects. */
  readonly closed: Promise<SessionEnd>;
  readonly #life: AbortSignal;
  readonly #onBug: (error: Error) => void;
  readonly #controller = longLivedController();
  #wasProvenAtEnd = true;
  readonly #tasks: TaskGroup;
  #resolveClosed: (end: SessionEnd) => void = () => {};
  /** Only grows. */
  #provenMs: number;
  /** Moves only up, by a commit whose outcome is known. */
  #head: CommittedHead;

  /** Use {@link Session.register}. */
  private constructor(facts: SessionFacts, { life, onBug }: SessionOptions) {
    this.components = facts.components;
    this.sessionId = facts.sessionId;
    this.registration = facts.registration;
    this.createRevision = facts.createRevision;
    this.leaseId = facts.leaseId;
    this.#head = { n: 0, value: facts.headValue };
    this.#provenMs = facts.sentMs;
    this.#life = life;
    this.#onBug = onBug;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#tasks = new TaskGroup(facts.components.log, (_name, error) => this.die(asError(error)));
    if (life.aborted) this.#vanish();
    else life.addEventListener("abort", this.#vanish, { once: true });
    this.#tasks.spawn("session keep-alive", (signal) => this.#keepAlive(signal));
  }

  /**
   * Registers a new session, after deleting every earlier one of the same broker id. Each attempt has its own id and
   * lease and is sent once: what an attempt without answer left behind dies with its lease.
   * @param options.signal ends the attempts: a broker that stops registers nothing any more
   */
  static async register(
    components: ClusterComponents,
    registration: Registration,
    { signal, ...options }: SessionOptions & { readonly signal: AbortSignal },
  ): Promise<Session> {
    for (;;) {
      await deleteSessions(components, ({ brokerId }) => brokerId === registration.brokerId, { signal });
      const session = await attemptRegistration(components, registration, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        if (!isTransient(error)) throw error;
        components.log.warn("registration failed, trying again", { brokerId: registration.brokerId, error });
        return undefined;
      });
      if (session) return new Session(session, options);
      await sleep(components.clock, REGISTER_PAUSE_MS * (0.5 + components.random.uniform()), signal);
    }
  }

  /**
   * Fences every session of the same broker id that is older: one that came up while this one was being registered, so
   * that nobody saw it. Its process may be gone, and then nobody but this session would ever claim what it owns.
   */
  async fenceEarlier({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const isEarlier = ({ brokerId }: SessionRecord, createRevision: Revision) =>
      brokerId === this.brokerId && createRevision < this.createRevision;
    await deleteSessions(this.components, isEarlier, { signal });
  }

  /** The broker the session belongs to. */
  get brokerId(): number {
    return this.registration.brokerId;
  }

  /** Aborts at the moment the session dies. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Monotonic time at which the last answered keep-alive was sent. */
  get provenMs(): number {
    return this.#provenMs;
  }

  /** Whether the session was alive within the last half of its TTL: reads are served only then. */
  isProven(nowMs: number = this.components.clock.monotonicMs()): boolean {
    return !this.signal.aborted && nowMs - this.#provenMs <= SESSION_TTL_MS / 2;
  }

  /** Whether it was alive for certain shortly before it ended: it died of something else than a silent metadata store. */
  get wasProvenAtEnd(): boolean {
    return this.#wasProvenAtEnd;
  }

  /** The last flush known to be committed, and the stored value that says so. */
  get head(): CommittedHead {
    return this.#head;
  }

  /** Notes a committed head. For `head.ts` only. */
  advanceHead(head: CommittedHead): void {
    invariant(head.n >= this.#head.n, `the head went from ${this.#head.n} back to ${head.n}`);
    this.#head = head;
  }

  /**
   * Says that the broker gives its shards away and takes none.
   * @returns the revision from which images show it; undefined when the session is gone
   */
  async markDraining({ signal }: { readonly signal: AbortSignal }): Promise<Revision | undefined> {
    const { components, createRevision, leaseId } = this;
    const key = components.keys.session(this.sessionId);
    const value = encodeSession({ ...this.registration, isDraining: true });
    const txn: Txn = {
      compare: [{ key, target: "create", equals: createRevision }],
      then: [{ type: "put", key, value, lease: leaseId }],
    };
    const result = await txnUntilAnswered(components, { what: "mark of a drain", signal }, txn);
    return result.succeeded ? result.revision : undefined;
  }

  /** Ends the session: deletes its key, then reads its head. Only the first call counts, but no bug goes unheard. */
  die(reason: string | Error): void {
    const error = asError(reason);
    if (brokenInvariant(error)) this.#onBug(error);
    if (this.signal.aborted) return;
    this.components.log.warn("session ends", { session: this.sessionId, reason: error.message });
    this.#end(error);
  }

  /** Ends the session as {@link die} does, but as intended: nobody has to be warned. */
  end(reason: string): void {
    if (!this.signal.aborted) this.#end(new Error(reason));
  }

  #end(reason: Error): void {
    this.#wasProvenAtEnd = this.isProven();
    this.#controller.abort(reason);
    this.#tasks.abort(reason);
    void this.#close(reason).then((head) => this.#settle({ reason, head }));
  }

  /** Gives `work` back. A broken invariant in it ends the session, even when nobody waits for the work any more. */
  watched<T>(work: Promise<T>): Promise<T> {
    work.catch((error: unknown) => {
      if (brokenInvariant(error)) this.die(asError(error));
    });
    return work;
  }

  readonly #vanish = (): void => {
    const reason = asError(this.#life.reason);
    this.#controller.abort(reason);
    this.#tasks.abort(reason);
    this.#settle({ reason, head: undefined });
  };

  #settle(end: SessionEnd): void {
    this.#life.removeEventListener("abort", this.#vanish);
    this.#resolveClosed(end);
  }

  async #close(reason: Error): Promise<number | undefined> {
    const { components, sessionId } = this;
    try {
      await deleteSession(components, this, this.#life);
      const key = components.keys.head(sessionId);
      const { entry } = await untilAnswered(components, { what: "last read of a head", signal: this.#life }, (signal) =>
        components.kv.get(key, { signal }),
      );
      return entry && decodeHead(entry).n;
    } catch (error) {
      if (!this.#life.aborted) {
        components.log.error("the end of a session could not be read", { session: sessionId, reason, error });
      }
      return undefined;
    }
  }

  async #keepAlive(signal: AbortSignal): Promise<void> {
    const { clock, kv } = this.components;
    let pauseMs = KEEP_ALIVE_MS;
    for (;;) {
      await sleep(clock, pauseMs, signal);
      // The lease lives at least TTL past the moment the call was sent: counting from the answer would be too long.
      const sentMs = clock.monotonicMs();
      try {
        await callOnce(this.components, { what: "keep-alive", signal }, (call) =>
          kv.keepAlive(this.leaseId, { signal: call }),
        );
        this.#provenMs = Math.max(this.#provenMs, sentMs);
        outageLogOf(this.components).answered();
        pauseMs = KEEP_ALIVE_MS;
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof KvError && error.kind === "lease-not-found") {
          this.die(new Error("the lease of the session has ended", { cause: error }));
          return;
        }
        outageLogOf(this.components).failed(error, { what: "keep-alive" });
        pauseMs = KEEP_ALIVE_RETRY_MS;
      }
    }
  }
}

/**
 * Deletes the sessions that `isMeant` picks, which fences whoever still lives under them. With a store that one process
 * holds locked, all sessions found at its opening are of dead processes.
 */
export async function deleteSessions(
  components: ClusterComponents,
  isMeant: (record: SessionRecord, createRevision: Revision) => boolean,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const { kv, keys } = components;
  const { entries } = await untilAnswered(components, { what: "range of sessions", signal }, (call) =>
    kv.range(keys.sessions, { signal: call }),
  );
  for (const entry of entries) {
    if (isMeant(decodeSession(entry), entry.createRevision)) {
      const sessionId = keys.sessionOf(entry.key);
      await fenceSession(components, { sessionId, createRevision: entry.createRevision }, signal);
    }
  }
}

/**
 * A live session of the same broker id that another process registered: two processes run with one id, and the one
 * whose session went is the one to stop.
 */
export async function findRivalSession(
  components: ClusterComponents,
  own: { readonly brokerId: number; readonly process: string },
  { signal }: { readonly signal: AbortSignal },
): Promise<SessionRecord | undefined> {
  const { kv, keys } = components;
  const { entries } = await untilAnswered(components, { what: "range of sessions", signal }, (call) =>
    kv.range(keys.sessions, { signal: call }),
  );
  return entries
    .map(decodeSession)
    .find((record) => record.brokerId === own.brokerId && record.process !== own.process);
}

/**
 * Fences a session: deletes its key, so that nothing is written on its behalf any more, then revokes its lease, so that
 * its owner learns it from the next keep-alive rather than from a watch that may lag. Repeating it does nothing.
 */
export async function fenceSession(
  components: ClusterComponents,
  session: { readonly sessionId: SessionId; readonly createRevision: Revision },
  signal: AbortSignal,
): Promise<void> {
  const lease = await deleteSession(components, session, signal);
  if (lease === undefined) return;
  try {
    await callOnce(components, { what: "revocation of a lease", signal }, (call) =>
      components.kv.revokeLease(lease, { signal: call }),
    );
  } catch (error) {
    signal.throwIfAborted();
    if (brokenInvariant(error)) throw error;
    // It runs out by itself: the session is fenced already.
    components.log.debug("the lease of a fenced session was not revoked", { session: session.sessionId, error });
  }
}

/**
 * Deletes the key of one session. Either outcome means that it is gone: an id is never used twice.
 * @returns its lease; undefined when the key was gone before, or when it was deleted by a call that had no answer
 */
async function deleteSession(
  components: ClusterComponents,
  { sessionId, createRevision }: { readonly sessionId: SessionId; readonly createRevision: Revision },
  signal: AbortSignal,
): Promise<LeaseId | undefined> {
  const key = components.keys.session(sessionId);
  const { succeeded, results } = await txnUntilAnswered(
    components,
    { what: "deletion of a session", signal },
    {
      compare: [{ key, target: "create", equals: createRevision }],
      then: [
        { type: "get", key },
        { type: "delete", key },
      ],
    },
  );
  return succeeded ? results[0]?.lease : undefined;
}

async function attemptRegistration(
  components: ClusterComponents,
  registration: Registration,
  signal: AbortSignal,
): Promise<SessionFacts | undefined> {
  const { kv, keys, clock, random } = components;
  const sessionId = newSessionId(random);
  const sentMs = clock.monotonicMs();
  const leaseId = await callOnce(components, { what: "grant of a lease", signal }, (call) =>
    kv.grantLease(SESSION_TTL_MS, { signal: call }),
  );
  const headValue = encodeHead({ n: 0, committedAtMs: clock.wallMs() });
  const sessionKey = keys.session(sessionId);
  const headKey = keys.head(sessionId);
  const result = await callOnce(components, { what: "registration", signal }, (call) =>
    kv.txn(
      {
        compare: [
          { key: sessionKey, target: "create", equals: 0 },
          { key: headKey, target: "create", equals: 0 },
        ],
        then: [
          {
            type: "put",
            key: sessionKey,
            value: encodeSession({ ...registration, isDraining: false }),
            lease: leaseId,
          },
          { type: "put", key: headKey, value: headValue },
        ],
      },
      { signal: call },
    ),
  );
  if (!result.succeeded) return undefined;
  const createRevision = result.revision;
  return { components, sessionId, registration, createRevision, leaseId, headValue, sentMs };
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
