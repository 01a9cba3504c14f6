// One group as it runs: takes what happens to it, one after the other, lets the machine decide, and carries out what
// follows. Replies leave once everything the state contains is committed; the state itself never waits. Looks at
// effects only, never at the group.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { Clock } from "../host/clock.ts";
import { invariant } from "../invariant.ts";
import { KafkaError } from "../kafka-error.ts";
import { step } from "./classic-machine.ts";
import {
  createGroup,
  type GroupEffect,
  type GroupExchanges,
  type GroupInput,
  type GroupRecord,
  type GroupReply,
  type GroupRequest,
  type GroupState,
} from "./group.ts";
import type { GroupSettings } from "./group-settings.ts";

/** The reply that belongs to a request. */
export type ReplyTo<R extends GroupRequest> = GroupExchanges[R["type"]]["reply"];

/** What a mailbox works with. */
export interface MailboxParts {
  readonly clock: Clock;
  readonly settings: GroupSettings;
  /** Keeps records of the group; resolves when they are committed, rejects with KafkaError. */
  append(records: readonly GroupRecord[]): Promise<void>;
  /** @throws KafkaError when this broker cannot prove that it coordinates the group still */
  requireProven(): void;
  /** Nothing of the group is left here: no state, nobody waiting, nothing on its way. `hasFailed`: read it anew. */
  onVacant(hasFailed: boolean): void;
  /** Hears of a write that failed by a bug, whether or not somebody waits for it. */
  onBug(error: unknown): void;
}

interface Waiter {
  readonly resolve: (reply: GroupReply) => void;
  readonly reject: (error: unknown) => void;
}

/** The one owner of a group's state. */
export class GroupMailbox {
  readonly #groupId: string;
  readonly #parts: MailboxParts;
  /** Undefined when there is nothing to remember; the next input starts from an empty group. */
  #group: GroupState | undefined;
  /** Requests the machine has not answered yet. */
  readonly #waiters = new Map<number, Waiter>();
  readonly #timers = new Map<string, () => void>();
  #lastRequestId = 0;
  /** Settles when everything persisted so far is committed; undefined when nothing is on its way. */
  #committed: Promise<void> | undefined;
  /** Appends that have not settled. */
  #appendsUnderWay = 0;
  /** Set once the state here can no longer become true. Nothing is answered from it afterwards. */
  #failure: unknown;

  constructor(groupId: string, parts: MailboxParts) {
    this.#groupId = groupId;
    this.#parts = parts;
  }

  /** Starts with what was recovered. Called once, before anything else. */
  load(group: GroupState): void {
    this.#group = group;
    this.tell({ type: "loaded" });
  }

  /** Whether nothing of the group is left here. */
  get isVacant(): boolean {
    return this.#group === undefined && this.#waiters.size === 0 && this.#appendsUnderWay === 0;
  }

  /**
   * Runs a request in this very call; resolves with its reply once it may leave.
   * @throws KafkaError when the group is lost to this broker before that, or is being read anew
   */
  ask<R extends GroupRequest>(request: R): Promise<ReplyTo<R>> {
    if (this.#failure) {
      const text = `group ${this.#groupId} is being loaded again after a failed write`;
      return Promise.reject(new KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, text));
    }
    return new Promise<ReplyTo<R>>((resolve, reject) => {
      const requestId = ++this.#lastRequestId;
      this.#waiters.set(requestId, { resolve, reject });
      this.tell({ type: "request", requestId, request });
    });
  }

  /** Lets the machine take an input, and carries out what follows. */
  tell(input: GroupInput): void {
    if (this.#failure) return;
    const { clock, settings } = this.#parts;
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    const { group, effects } = step(this.#group ?? createGroup(this.#groupId, settings), input, now);
    this.#group = group;
    for (const effect of effects) if (effect.type === "persist") this.#persist(effect.records);
    for (const effect of effects) this.#carryOut(effect);
    this.#leaveIfVacant();
  }

  /** The group is lost to this broker: whoever waits hears it, and nothing more happens here. */
  close(error: unknown): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#group = undefined;
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    for (const waiter of this.#waiters.values()) waiter.reject(error);
    this.#waiters.clear();
    this.#leaveIfVacant();
  }

  #carryOut(effect: GroupEffect): void {
    switch (effect.type) {
      case "persist":
        break; // Done before, so that replies of the same step wait for it.
      case "reply":
        this.#reply(effect.requestId, effect.reply);
        break;
      case "schedule":
        this.#schedule(effect);
        break;
      case "cancel":
        this.#timers.get(effect.key)?.();
        this.#timers.delete(effect.key);
        break;
    }
  }

  #schedule({ key, token, delayMs }: { key: string; token: number; delayMs: number }): void {
    this.#timers.get(key)?.();
    const fire = () => {
      this.#timers.delete(key);
      this.tell({ type: "timer", key, token });
    };
    this.#timers.set(key, this.#parts.clock.setTimer(delayMs, fire));
  }

  #reply(requestId: number, reply: GroupReply): void {
    const waiter = this.#waiters.get(requestId);
    invariant(waiter, `request ${requestId} of group ${this.#groupId} was answered twice`);
    this.#waiters.delete(requestId);
    if (!this.#committed) {
      this.#answer(waiter, reply);
      return;
    }
    // A commit is its own proof: what it says is true whoever coordinates the group afterwards.
    this.#committed.then(
      () => waiter.resolve(reply),
      (error: unknown) => waiter.reject(this.#refusalOf(error)),
    );
  }

  /** Without a commit a stale coordinator could tell old things for as long as it does not know of its successor. */
  #answer(waiter: Waiter, reply: GroupReply): void {
    try {
      this.#parts.requireProven();
    } catch (error) {
      waiter.reject(this.#refusalOf(error));
      return;
    }
    waiter.resolve(reply);
  }

  /** Each write is committed only with all before it: a reply that saw the later state saw the earlier one too. */
  #persist(records: readonly GroupRecord[]): void {
    this.#appendsUnderWay++;
    const appended = this.#parts.append(records);
    const before = this.#committed;
    const committed = before ? Promise.all([before, appended]).then(() => undefined) : appended;
    this.#committed = committed;
    committed.catch((error: unknown) => this.close(this.#refusalOf(error)));
    appended.catch((error: unknown) => {
      if (!(error instanceof KafkaError)) this.#parts.onBug(error);
    });
    const settle = () => {
      this.#appendsUnderWay--;
      if (this.#appendsUnderWay === 0 && !this.#failure) this.#committed = undefined;
      this.#leaveIfVacant();
    };
    appended.then(settle, settle);
  }

  /** What clients hear when a write or a proof failed. A bug stays one. */
  #refusalOf(error: unknown): unknown {
    if (!(error instanceof KafkaError)) return error;
    return new KafkaError(coordinatorCode(error.code), `group ${this.#groupId}: ${error.message}`, { cause: error });
  }

  #leaveIfVacant(): void {
    if (this.isVacant) this.#parts.onVacant(this.#failure !== undefined);
  }
}

/** Kafka's translation of a partition's errors into a coordinator's. */
const coordinatorCodes: ReadonlyMap<ErrorCode, ErrorCode> = new Map([
  [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_COORDINATOR],
  [ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_COORDINATOR],
  [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.COORDINATOR_NOT_AVAILABLE],
  [ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.COORDINATOR_NOT_AVAILABLE],
  [ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, ErrorCode.COORDINATOR_NOT_AVAILABLE],
  [ErrorCode.REQUEST_TIMED_OUT, ErrorCode.COORDINATOR_NOT_AVAILABLE],
]);

/** What a coordinator answers when its partition's log said `code`: what passes by itself is retried by clients. */
export function coordinatorCode(code: ErrorCode): ErrorCode {
  return coordinatorCodes.get(code) ?? ErrorCode.UNKNOWN_SERVER_ERROR;
}
