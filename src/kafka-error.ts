// An expected failure as Kafka numbers it. Created where the meaning is known and never re-mapped further up.
import { ErrorCode, errorName, isRetriable } from "../generated/kafka/error-codes.ts";

/** A failure with a Kafka error code, to be answered to the client. */
export class KafkaError extends Error {
  override readonly name = "KafkaError";
  readonly code: ErrorCode;

  /** @param message what was attempted and the values; it is logged and, where the protocol has a field, sent */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(`${errorName(code)}: ${message}`, options);
    this.code = code;
  }

  /** Whether clients retry on this code by themselves. */
  get isRetriable(): boolean {
    return isRetriable(this.code);
  }
}

/** The code of an expected failure, UNKNOWN_SERVER_ERROR for anything else. */
export function errorCodeOf(error: unknown): ErrorCode {
  return error instanceof KafkaError ? error.code : ErrorCode.UNKNOWN_SERVER_ERROR;
}
