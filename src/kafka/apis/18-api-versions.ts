// ApiVersions, versions 0 to 4. Answers what the dispatcher serves, which is derived from the handlers that exist. No
// feature is finalised: transaction.version, group.version and the like switch clients to code paths that have to work.
// Refuses names and versions of client software that are not of Kafka's form (INVALID_REQUEST). A version that is not
// served is answered in the form of version 0 with UNSUPPORTED_VERSION and the one row of this API (KIP-511).
import {
  type ApiVersion,
  createApiVersion,
  createApiVersionsResponse,
} from "../../../generated/kafka/api-versions-response.ts";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { KafkaError } from "../../kafka-error.ts";
import type { ApiHandler, ResponseOf, SupportedApi } from "../api-handler.ts";

const API_VERSIONS_KEY = 18;
const FIRST_SOFTWARE_NAME_VERSION = 3;
const SOFTWARE_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/;

/** ApiVersions. */
export const apiVersions: ApiHandler<18> = {
  apiKey: API_VERSIONS_KEY,
  minVersion: 0,
  maxVersion: 4,

  respond(request, context, broker) {
    const { clientSoftwareName, clientSoftwareVersion } = request;
    const isNamed = SOFTWARE_NAME.test(clientSoftwareName) && SOFTWARE_NAME.test(clientSoftwareVersion);
    if (context.apiVersion >= FIRST_SOFTWARE_NAME_VERSION && !isNamed) {
      throw new KafkaError(
        ErrorCode.INVALID_REQUEST,
        "the name or version of the client software is not of Kafka's form",
      );
    }
    return createApiVersionsResponse({ apiKeys: broker.supportedApis.map(rowOf) });
  },

  refuse(_request, error) {
    return createApiVersionsResponse({ errorCode: error.code });
  },
};

/** The answer, of version 0, to a version of ApiVersions that is not served. */
export function unknownApiVersionsVersion(supportedApis: readonly SupportedApi[]): ResponseOf<18> {
  const own = supportedApis.filter(({ apiKey }) => apiKey === API_VERSIONS_KEY);
  return createApiVersionsResponse({ errorCode: ErrorCode.UNSUPPORTED_VERSION, apiKeys: own.map(rowOf) });
}

function rowOf({ apiKey, minVersion, maxVersion }: SupportedApi): ApiVersion {
  return createApiVersion({ apiKey, minVersion, maxVersion });
}
