// Which published jars the schemas come from. An upgrade changes NEW_RELEASE, then `make schemas generate`.

/** The last release that still has the versions that 4.0 removed. */
export const OLD_RELEASE = "3.9.1";
/** The newest release of which every part is published. */
export const NEW_RELEASE = "4.3.1";

/** One jar of a registry. */
export interface Artifact {
  readonly group: string;
  readonly name: string;
  readonly release: string;
}

const KAFKA = "org.apache.kafka";

/** Requests, responses, headers and the consumer protocol, with the versions that were removed since. */
export const OLD_CLIENTS: Artifact = { group: KAFKA, name: "kafka-clients", release: OLD_RELEASE };
/** The same of the newest release. */
export const NEW_CLIENTS: Artifact = { group: KAFKA, name: "kafka-clients", release: NEW_RELEASE };
/** Jars that hold the records of the internal topics. */
export const COORDINATORS: readonly Artifact[] = [
  { group: KAFKA, name: "kafka-group-coordinator", release: NEW_RELEASE },
  { group: KAFKA, name: "kafka-transaction-coordinator", release: NEW_RELEASE },
];
/** Needed to load the class of the error codes. */
export const LOGGING: Artifact = { group: "org.slf4j", name: "slf4j-api", release: "1.7.36" };
