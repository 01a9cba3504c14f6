// The APIs that simulated clients use, each bound to its mirror codec.
import { encodeApiVersionsRequest } from "../../generated/testing/api-versions-request.ts";
import { decodeApiVersionsResponse } from "../../generated/testing/api-versions-response.ts";
import { encodeCreateTopicsRequest } from "../../generated/testing/create-topics-request.ts";
import { decodeCreateTopicsResponse } from "../../generated/testing/create-topics-response.ts";
import { encodeDeleteTopicsRequest } from "../../generated/testing/delete-topics-request.ts";
import { decodeDeleteTopicsResponse } from "../../generated/testing/delete-topics-response.ts";
import { encodeFetchRequest } from "../../generated/testing/fetch-request.ts";
import { decodeFetchResponse } from "../../generated/testing/fetch-response.ts";
import { encodeFindCoordinatorRequest } from "../../generated/testing/find-coordinator-request.ts";
import { decodeFindCoordinatorResponse } from "../../generated/testing/find-coordinator-response.ts";
import { encodeHeartbeatRequest } from "../../generated/testing/heartbeat-request.ts";
import { decodeHeartbeatResponse } from "../../generated/testing/heartbeat-response.ts";
import { encodeInitProducerIdRequest } from "../../generated/testing/init-producer-id-request.ts";
import { decodeInitProducerIdResponse } from "../../generated/testing/init-producer-id-response.ts";
import { encodeJoinGroupRequest } from "../../generated/testing/join-group-request.ts";
import { decodeJoinGroupResponse } from "../../generated/testing/join-group-response.ts";
import { encodeLeaveGroupRequest } from "../../generated/testing/leave-group-request.ts";
import { decodeLeaveGroupResponse } from "../../generated/testing/leave-group-response.ts";
import { encodeListOffsetsRequest } from "../../generated/testing/list-offsets-request.ts";
import { decodeListOffsetsResponse } from "../../generated/testing/list-offsets-response.ts";
import { encodeMetadataRequest } from "../../generated/testing/metadata-request.ts";
import { decodeMetadataResponse } from "../../generated/testing/metadata-response.ts";
import { encodeOffsetCommitRequest } from "../../generated/testing/offset-commit-request.ts";
import { decodeOffsetCommitResponse } from "../../generated/testing/offset-commit-response.ts";
import { encodeOffsetFetchRequest } from "../../generated/testing/offset-fetch-request.ts";
import { decodeOffsetFetchResponse } from "../../generated/testing/offset-fetch-response.ts";
import { encodeProduceRequest } from "../../generated/testing/produce-request.ts";
import { decodeProduceResponse } from "../../generated/testing/produce-response.ts";
import { encodeSyncGroupRequest } from "../../generated/testing/sync-group-request.ts";
import { decodeSyncGroupResponse } from "../../generated/testing/sync-group-response.ts";

/** Codecs by API; a version is added at each use. */
export const clientApis = {
  produce: { apiKey: 0, encode: encodeProduceRequest, decode: decodeProduceResponse },
  fetch: { apiKey: 1, encode: encodeFetchRequest, decode: decodeFetchResponse },
  listOffsets: { apiKey: 2, encode: encodeListOffsetsRequest, decode: decodeListOffsetsResponse },
  metadata: { apiKey: 3, encode: encodeMetadataRequest, decode: decodeMetadataResponse },
  offsetCommit: { apiKey: 8, encode: encodeOffsetCommitRequest, decode: decodeOffsetCommitResponse },
  offsetFetch: { apiKey: 9, encode: encodeOffsetFetchRequest, decode: decodeOffsetFetchResponse },
  findCoordinator: { apiKey: 10, encode: encodeFindCoordinatorRequest, decode: decodeFindCoordinatorResponse },
  joinGroup: { apiKey: 11, encode: encodeJoinGroupRequest, decode: decodeJoinGroupResponse },
  heartbeat: { apiKey: 12, encode: encodeHeartbeatRequest, decode: decodeHeartbeatResponse },
  leaveGroup: { apiKey: 13, encode: encodeLeaveGroupRequest, decode: decodeLeaveGroupResponse },
  syncGroup: { apiKey: 14, encode: encodeSyncGroupRequest, decode: decodeSyncGroupResponse },
  apiVersions: { apiKey: 18, encode: encodeApiVersionsRequest, decode: decodeApiVersionsResponse },
  createTopics: { apiKey: 19, encode: encodeCreateTopicsRequest, decode: decodeCreateTopicsResponse },
  deleteTopics: { apiKey: 20, encode: encodeDeleteTopicsRequest, decode: decodeDeleteTopicsResponse },
  initProducerId: { apiKey: 22, encode: encodeInitProducerIdRequest, decode: decodeInitProducerIdResponse },
} as const;
