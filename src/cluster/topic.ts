// A topic as the rooms above see it, and the rules of its name. Refuses names that Kafka refuses.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../kafka-error.ts";
import type { TopicId } from "../topic-partition.ts";

/** A topic. */
export interface Topic {
  readonly name: string;
  readonly topicId: TopicId;
  /** 1 and up. Only grows. */
  readonly partitionCount: number;
  /** Overrides only, by Kafka's names; `topic-configs.ts` knows the defaults. */
  readonly configs: ReadonlyMap<string, string>;
  /** Whether it holds the state of coordinators: clients may neither write nor delete it. */
  readonly isInternal: boolean;
}

/** Topic of committed offsets and groups. */
export const OFFSETS_TOPIC = "__consumer_offsets";
/** Topic of transactions. */
export const TRANSACTIONS_TOPIC = "__transaction_state";

/** Whether a topic of this name holds the state of coordinators. */
export function isInternal(name: string): boolean {
  return name === OFFSETS_TOPIC || name === TRANSACTIONS_TOPIC;
}

/** Longest name of a topic, Kafka's own bound. */
export const TOPIC_NAME_LENGTH_MAX = 249;

/** @throws KafkaError INVALID_TOPIC_EXCEPTION unless it is 1 to 249 of `[A-Za-z0-9._-]` and neither `.` nor `..` */
export function validateTopicName(name: string): void {
  if (name.length > TOPIC_NAME_LENGTH_MAX) {
    throw invalidName(`the topic name has ${name.length} characters, more than ${TOPIC_NAME_LENGTH_MAX}`);
  }
  if (!/^[A-Za-z0-9._-]+$/.test(name) || name === "." || name === "..") {
    throw invalidName(`the topic name ${JSON.stringify(name)} is not made of ASCII letters, digits, ".", "_" and "-"`);
  }
}

/** The name as metrics would spell it: two topics may not share it. */
export function collisionKey(name: string): string {
  return name.replaceAll(".", "_");
}

/** The refusal of a name. */
export function invalidName(message: string): KafkaError {
  return new KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, message);
}
