// How long a request that changes topics may take: the client's time or the broker's, whichever ends first.

import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { DeadlineError, withDeadline } from "../host/clock.ts";
import { KafkaError } from "../kafka-error.ts";
import type { BrokerServices, RequestContext } from "./api-handler.ts";

/**
 * Runs `work` until the broker's admin time-out or `timeoutMs`, if that is shorter and given.
 * @throws KafkaError REQUEST_TIMED_OUT then: what becomes of the work is unknown
 */
export async function withAdminDeadline<T>(
  { clock, settings }: BrokerServices,
  { signal }: RequestContext,
  work: (signal: AbortSignal) => Promise<T>,
  timeoutMs = settings.adminTimeoutMs,
): Promise<T> {
  const limitMs = Math.max(0, Math.min(timeoutMs, settings.adminTimeoutMs));
  try {
    return await withDeadline(clock, limitMs, "a change of topics", signal, work);
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    throw new KafkaError(ErrorCode.REQUEST_TIMED_OUT, error.message, { cause: error });
  }
}
