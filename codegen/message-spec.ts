// What a schema file says, resolved: every struct stands where it is used, every range is a range, every default is
// text in one notation. The stages after `parse` know only these types.
import type { VersionRange } from "./versions.ts";

/** The primitive types of the schema language. */
export const PRIMITIVE_TYPES = [
  "bool",
  "int8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "float64",
  "string",
  "uuid",
  "bytes",
  "records",
] as const;
/** Name of a primitive type. */
export type PrimitiveName = (typeof PRIMITIVE_TYPES)[number];

/** The kinds of message. */
export const MESSAGE_KINDS = ["request", "response", "header", "data", "coordinator-key", "coordinator-value"] as const;
/** Kind of a message. */
export type MessageKind = (typeof MESSAGE_KINDS)[number];

/** A type of a field. Arrays do not nest. */
export type TypeSpec =
  | { readonly kind: "primitive"; readonly name: PrimitiveName }
  | { readonly kind: "struct"; readonly name: string; readonly fields: readonly FieldSpec[] }
  | { readonly kind: "array"; readonly element: Exclude<TypeSpec, { readonly kind: "array" }> };

/** The element type of an array. */
export type ElementSpec = Extract<TypeSpec, { readonly kind: "array" }>["element"];

/** One field of a message or struct. */
export interface FieldSpec {
  readonly name: string;
  readonly type: TypeSpec;
  /** Versions that have the field at all, tagged or not. */
  readonly versions: VersionRange;
  /** Versions in which it may be null. */
  readonly nullable: VersionRange;
  /** Versions in which it is a tagged field with number `tag`. */
  readonly tagged: VersionRange;
  readonly tag: number | undefined;
  /** Overrides the message's flexible versions for this field's encoding. */
  readonly flexible: VersionRange | undefined;
  /** Whether a set value may be dropped where the version has no such field. */
  readonly ignorable: boolean;
  /** The default as the schema writes it; undefined for the type's own. */
  readonly default: string | undefined;
  readonly entityType: string | undefined;
  readonly mapKey: boolean;
}

/** One message. */
export interface MessageSpec {
  readonly name: string;
  readonly kind: MessageKind;
  readonly apiKey: number | undefined;
  readonly validVersions: VersionRange;
  readonly flexibleVersions: VersionRange;
  readonly listeners: readonly string[];
  /** The highest version may still change and is not advertised. */
  readonly latestVersionUnstable: boolean;
  readonly fields: readonly FieldSpec[];
}

/** A schema that breaks a rule: the file, the path of the field, and the rule. */
export class SchemaError extends Error {
  override readonly name = "SchemaError";

  /** @param place file and path, e.g. `ProduceRequest.json: TopicData.Name` */
  constructor(place: string, rule: string) {
    super(`${place}: ${rule}`);
  }
}
