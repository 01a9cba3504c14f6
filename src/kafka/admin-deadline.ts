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
  change: { broker: BrokerServices; context: RequestContext; timeoutMs?: number },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, settings } = change.broker;
  const { timeoutMs = settings.adminTimeoutMs } = change;
  const limitMs = Math.max(0, Math.min(timeoutMs, settings.adminTimeoutMs));
  try {
    return await withDeadline(clock, limitMs, "a change of the cluster", change.context.signal, work);
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    throw new KafkaError(ErrorCode.REQUEST_TIMED_OUT, error.message, { cause: error });
  }
}
