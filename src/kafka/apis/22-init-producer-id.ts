// InitProducerId, versions 0 to 5. Gives an idempotent producer an id that nobody ever had, with epoch 0; what a client
// says of an earlier id and epoch does not matter without a transactional id.
// Refuses transactional ids: "" (INVALID_REQUEST), a time-out outside 1 ms to 15 min (INVALID_TRANSACTION_TIMEOUT), all
// others with TRANSACTIONAL_ID_AUTHORIZATION_FAILED, because there are no transactions here and that is the one code
// that the Java client and librdkafka take as final instead of asking again for ever.
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { createInitProducerIdResponse } from "../../../generated/kafka/init-producer-id-response.ts";
import { KafkaError } from "../../kafka-error.ts";
import { withAdminDeadline } from "../admin-deadline.ts";
import type { ApiHandler, RequestOf } from "../api-handler.ts";

const TRANSACTION_TIMEOUT_MS_MAX = 900_000;

/** InitProducerId. */
export const initProducerId: ApiHandler<22> = {
  apiKey: 22,
  minVersion: 0,
  maxVersion: 5,

  async respond(request, context, broker) {
    if (request.transactionalId !== null) throw refusalOf(request.transactionalId, request);
    const producerId = await withAdminDeadline({ broker, context }, (signal) => broker.producerIds.next({ signal }));
    return createInitProducerIdResponse({ producerId, producerEpoch: 0 });
  },

  refuse(_request, error) {
    return createInitProducerIdResponse({ errorCode: error.code, producerId: -1, producerEpoch: -1 });
  },
};

function refusalOf(transactionalId: string, { transactionTimeoutMs }: RequestOf<22>): KafkaError {
  if (transactionalId === "") return new KafkaError(ErrorCode.INVALID_REQUEST, "the transactional id is empty");
  if (transactionTimeoutMs <= 0 || transactionTimeoutMs > TRANSACTION_TIMEOUT_MS_MAX) {
    const text = `a transaction time-out of ${transactionTimeoutMs} ms is outside 1 to ${TRANSACTION_TIMEOUT_MS_MAX}`;
    return new KafkaError(ErrorCode.INVALID_TRANSACTION_TIMEOUT, text);
  }
  const text = `this broker has no transactions; "${transactionalId}" was refused`;
  return new KafkaError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, text);
}
