// The object that says which cluster a bucket belongs to: JSON, so that an operator can read it with any tool.
import { FormatError } from "./format-error.ts";

/** What the object holds. */
export interface ClusterIdObject {
  readonly clusterId: string;
  /** Grows when a restored metadata store was accepted by a command. */
  readonly generation: number;
  /** Revision of the metadata store when the object was written: a store below it was restored from a backup. */
  readonly revision: number;
}

const FORMAT_VERSION = 1;
const PLACE = "cluster-id";

/** The bytes of the object. */
export function encodeClusterIdObject({ clusterId, generation, revision }: ClusterIdObject): Uint8Array {
  const text = JSON.stringify({ version: FORMAT_VERSION, clusterId, generation, revision });
  return new TextEncoder().encode(`${text}\n`);
}

/** @throws FormatError when the bytes are no such object or of another version */
export function decodeClusterIdObject(bytes: Uint8Array): ClusterIdObject {
  const fields = parseFields(bytes);
  if (fields["version"] !== FORMAT_VERSION) {
    throw new FormatError(PLACE, `format version ${String(fields["version"])} is not ${FORMAT_VERSION}`);
  }
  const { clusterId, generation, revision } = fields;
  if (typeof clusterId !== "string" || !Number.isSafeInteger(generation) || !Number.isSafeInteger(revision)) {
    throw new FormatError(PLACE, "it lacks clusterId, generation or revision");
  }
  return { clusterId, generation: Number(generation), revision: Number(revision) };
}

function parseFields(bytes: Uint8Array): Partial<Record<string, unknown>> {
  try {
    const fields: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof fields === "object" && fields !== null) return { ...fields };
  } catch {
    // Falls through: what is no JSON is damaged as much as what is no object.
  }
  throw new FormatError(PLACE, "it is not a JSON object");
}
