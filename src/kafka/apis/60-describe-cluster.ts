// DescribeCluster, versions 0 to 2. The live brokers, the cluster id, and this broker as the controller, as in Metadata.
// Fenced brokers do not exist: a broker without a live session is not in the cluster.
// Refuses: the controllers' endpoints (MISMATCHED_ENDPOINT_TYPE) and types that do not exist (UNSUPPORTED_ENDPOINT_TYPE).
import {
  createDescribeClusterBroker,
  createDescribeClusterResponse,
} from "../../../generated/kafka/describe-cluster-response.ts";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { KafkaError } from "../../kafka-error.ts";
import type { ApiHandler } from "../api-handler.ts";
import { allOperations, OPERATIONS_NOT_ASKED } from "../topic-rows.ts";

const BROKERS = 1;
const CONTROLLERS = 2;

/** DescribeCluster. */
export const describeCluster: ApiHandler<60> = {
  apiKey: 60,
  minVersion: 0,
  maxVersion: 2,

  respond(request, _context, broker) {
    const { endpointType } = request;
    if (endpointType === CONTROLLERS) {
      throw new KafkaError(ErrorCode.MISMATCHED_ENDPOINT_TYPE, "this is the listener of a broker, not of a controller");
    }
    if (endpointType !== BROKERS) {
      throw new KafkaError(ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, `there is no endpoint type ${endpointType}`);
    }
    const image = broker.image();
    return createDescribeClusterResponse({
      endpointType,
      clusterId: image.clusterId,
      controllerId: broker.brokerId,
      brokers: image
        .brokers()
        .map(({ brokerId, host, port, rack }) =>
          createDescribeClusterBroker({ brokerId, host, port, rack: rack === "" ? null : rack }),
        ),
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
        ? allOperations.cluster
        : OPERATIONS_NOT_ASKED,
    });
  },

  refuse(request, error) {
    return createDescribeClusterResponse({
      errorCode: error.code,
      errorMessage: error.message,
      endpointType: request.endpointType,
    });
  },
};
