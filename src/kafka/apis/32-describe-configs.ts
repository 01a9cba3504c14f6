// DescribeConfigs, versions 0 to 4. Topics (resource type 2) with every configuration Kafka knows, overrides and defaults,
// and this broker (type 4) with its limits and the defaults of its topics. No keys, or an empty list, means all.
// Refuses per resource: unknown topics (3), names that are none (17), other brokers than this one and all other resource
// types (INVALID_REQUEST). The broker named "" stands for settings of the whole cluster, of which there are none.
import {
  createDescribeConfigsResourceResult,
  createDescribeConfigsResponse,
  createDescribeConfigsResult,
  createDescribeConfigsSynonym,
} from "../../../generated/kafka/describe-configs-response.ts";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { validateTopicName } from "../../cluster/topic.ts";
import { KafkaError } from "../../kafka-error.ts";
import type { ApiHandler, BrokerServices, RequestOf, ResponseOf } from "../api-handler.ts";
import { brokerConfigRows, type ConfigRow, ConfigSource, topicConfigRows } from "../config-entries.ts";
import { findTopic, hasTopic } from "../partition-lookup.ts";

type DescribeConfigsRequest = RequestOf<32>;
type ResourceRequest = DescribeConfigsRequest["resources"][number];
type ResourceResponse = ResponseOf<32>["results"][number];

const TOPIC = 2;
const BROKER = 4;

/** DescribeConfigs. */
export const describeConfigs: ApiHandler<32> = {
  apiKey: 32,
  minVersion: 0,
  maxVersion: 4,

  knowsTopics(request, image) {
    return request.resources.every(
      ({ resourceType, resourceName }) => resourceType !== TOPIC || hasTopic(image, resourceName),
    );
  },

  respond(request, { apiVersion }, broker) {
    const asked = { request, apiVersion };
    return createDescribeConfigsResponse({
      results: request.resources.map((resource) => describeOne(resource, asked, broker)),
    });
  },

  refuse(request, error) {
    return createDescribeConfigsResponse({ results: request.resources.map((resource) => refused(resource, error)) });
  },
};

/** The request with its version: `isDefault` is a field of version 0 alone. */
interface Asked {
  readonly request: DescribeConfigsRequest;
  readonly apiVersion: number;
}

function describeOne(resource: ResourceRequest, asked: Asked, broker: BrokerServices): ResourceResponse {
  const { resourceType, resourceName, configurationKeys } = resource;
  try {
    const rows = rowsOf(resource, broker);
    const keys = new Set(configurationKeys ?? []);
    const chosen = keys.size === 0 ? rows : rows.filter(({ name }) => keys.has(name));
    const configs = chosen.map((row) => resultOf(row, asked));
    return createDescribeConfigsResult({ errorMessage: null, resourceType, resourceName, configs });
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return refused(resource, error);
  }
}

function refused({ resourceType, resourceName }: ResourceRequest, error: KafkaError): ResourceResponse {
  return createDescribeConfigsResult({
    errorCode: error.code,
    errorMessage: error.message,
    resourceType,
    resourceName,
  });
}

function rowsOf({ resourceType, resourceName }: ResourceRequest, broker: BrokerServices): readonly ConfigRow[] {
  const { brokerId, settings } = broker;
  if (resourceType === TOPIC) {
    validateTopicName(resourceName);
    return topicConfigRows(findTopic(broker.image(), { name: resourceName }));
  }
  if (resourceType !== BROKER) {
    throw new KafkaError(ErrorCode.INVALID_REQUEST, `resources of type ${resourceType} have no configurations here`);
  }
  if (resourceName === "") return [];
  if (resourceName !== String(brokerId)) {
    const text = `the configurations of broker "${resourceName}" are asked of broker ${brokerId}`;
    throw new KafkaError(ErrorCode.INVALID_REQUEST, text);
  }
  const advertised = broker
    .image()
    .brokers()
    .find((endpoint) => endpoint.brokerId === brokerId);
  return brokerConfigRows({ brokerId, advertised, settings });
}

function resultOf(row: ConfigRow, { request, apiVersion }: Asked): ResourceResponse["configs"][number] {
  return createDescribeConfigsResourceResult({
    name: row.name,
    value: row.value,
    readOnly: row.isReadOnly,
    isDefault: apiVersion === 0 && row.source === ConfigSource.DEFAULT,
    configSource: row.source,
    configType: row.type,
    documentation: request.includeDocumentation ? row.documentation : null,
    synonyms: request.includeSynonyms ? row.synonyms.map((synonym) => createDescribeConfigsSynonym(synonym)) : [],
  });
}
