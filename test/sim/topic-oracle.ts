// What clients were told of topics: once a creation or a deletion was answered, no broker whose session lived then may
// say otherwise.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { AnswerSource } from "./fetch-check.ts";
import type { Ledger } from "./ledger.ts";
import type { StoreOracle } from "./store-oracle.ts";

const UNKNOWN_CODES: readonly number[] = [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID];

/** Judges what brokers say of the existence of topics. */
export class TopicOracle {
  readonly #ledger: Ledger;
  readonly #oracle: StoreOracle;
  /** When somebody was told, by topic id. */
  readonly #createdMs = new Map<string, number>();
  readonly #goneMs = new Map<string, number>();

  constructor(ledger: Ledger, oracle: StoreOracle) {
    this.#ledger = ledger;
    this.#oracle = oracle;
  }

  /** A client was told that a topic was created. */
  tellCreated(topicId: string): void {
    this.#createdMs.set(topicId, this.#ledger.nowMs);
  }

  /** A client was told that a topic was deleted. */
  tellGone(topicId: string): void {
    this.#goneMs.set(topicId, this.#ledger.nowMs);
  }

  /** An answer names a topic. */
  checkNamed(topicId: string, from: AnswerSource): void {
    this.#ledger.check("I15 a topic that is named was created", this.#oracle.knowsTopicId(topicId), () => topicId);
    if (!this.#isBound(this.#goneMs.get(topicId), from)) return;
    this.#ledger.check("I15 no broker names a topic whose deletion was answered", false, () => {
      return `${from.host} named ${topicId}, whose deletion was answered at ${this.#goneMs.get(topicId)}`;
    });
  }

  /** An answer has this code for a topic. */
  checkCode(topicId: string, code: number, from: AnswerSource): void {
    const isAlive = this.#oracle.liveTopicIds.has(topicId);
    if (!isAlive || !this.#isBound(this.#createdMs.get(topicId), from)) return;
    this.#ledger.check(
      "I15 every broker knows a topic whose creation was answered",
      !UNKNOWN_CODES.includes(code),
      () => {
        return `${from.host} does not know ${topicId}, whose creation was answered at ${this.#createdMs.get(topicId)}`;
      },
    );
  }

  /** Whether the session of who answers was there when it was told, and the question came after it. */
  #isBound(toldMs: number | undefined, { host, askedMs }: AnswerSource): boolean {
    if (toldMs === undefined || askedMs < toldMs) return false;
    const { liveSessions, sessionWriters, sessionSinceMs } = this.#oracle;
    return [...liveSessions].some((sessionId) => {
      return sessionWriters.get(sessionId) === host && (sessionSinceMs.get(sessionId) ?? toldMs) < toldMs;
    });
  }
}
