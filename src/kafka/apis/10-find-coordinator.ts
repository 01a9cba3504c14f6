// FindCoordinator, versions 0 to 6. Says which broker coordinates a group: the one that leads the group's partition of
// `__consumer_offsets`, which the first call creates. One key up to version 3, several with an error each from 4 on.
// It refuses: groups that nobody leads yet (15, with node -1); transactional ids, for good, as InitProducerId does (53);
// share groups, which this broker does not coordinate, and unknown kinds of keys (42), all with a sentence.
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import {
  type Coordinator,
  createCoordinator,
  createFindCoordinatorResponse,
} from "../../../generated/kafka/find-coordinator-response.ts";
import { KafkaError } from "../../kafka-error.ts";
import type { ApiHandler, BrokerServices, ResponseOf } from "../api-handler.ts";

const FIRST_VERSION_WITH_KEYS = 4;
/** Kinds of keys. */
const KeyType = { GROUP: 0, TRANSACTION: 1, SHARE: 2 } as const;
const NO_NODE = { nodeId: -1, host: "", port: -1 } as const;

/** Handler of key 10. */
export const findCoordinator: ApiHandler<10> = {
  apiKey: 10,
  minVersion: 0,
  maxVersion: 6,

  async respond(request, context, broker) {
    const { keyType } = request;
    const keys = context.apiVersion >= FIRST_VERSION_WITH_KEYS ? request.coordinatorKeys : [request.key];
    const coordinators = await Promise.all(keys.map((key) => find(key, keyType, broker)));
    return answer(coordinators, context.apiVersion);
  },

  refuse(request, error, context) {
    const keys = context.apiVersion >= FIRST_VERSION_WITH_KEYS ? request.coordinatorKeys : [request.key];
    return answer(
      keys.map((key) => refused(key, error)),
      context.apiVersion,
    );
  },
};

async function find(key: string, keyType: number, broker: BrokerServices): Promise<Coordinator> {
  try {
    if (keyType !== KeyType.GROUP) throw refusalOf(keyType);
    const { brokerId, host, port } = await broker.groups.findCoordinator(key);
    return createCoordinator({ key, nodeId: brokerId, host, port });
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return refused(key, error);
  }
}

function refusalOf(keyType: number): KafkaError {
  if (keyType === KeyType.TRANSACTION) {
    const text = "this broker does not coordinate transactions yet";
    return new KafkaError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, text);
  }
  const text =
    keyType === KeyType.SHARE
      ? "this broker does not coordinate share groups yet"
      : `there is no kind of coordinator with the number ${keyType}`;
  return new KafkaError(ErrorCode.INVALID_REQUEST, text);
}

function refused(key: string, error: KafkaError): Coordinator {
  return createCoordinator({ key, ...NO_NODE, errorCode: error.code, errorMessage: error.message });
}

function answer(coordinators: readonly Coordinator[], apiVersion: number): ResponseOf<10> {
  if (apiVersion >= FIRST_VERSION_WITH_KEYS) return createFindCoordinatorResponse({ coordinators });
  const { nodeId, host, port, errorCode, errorMessage } = coordinators[0] ?? createCoordinator(NO_NODE);
  return createFindCoordinatorResponse({ nodeId, host, port, errorCode, errorMessage });
}
